/** Everything of one request, in the order in which one decides. */
import type { SigningRequest } from "../formats/signing-request/index.ts";
import type { RequestDetails, SessionView } from "../model/signing-service/api.ts";
import { type Decider, decideView } from "./decide-view.ts";
import { badge, type Child, code, element, facts, section } from "./element.ts";
import { diffView, lintView, verdictsView } from "./review-view.ts";
import { approvalsOf, exactTime, fromNow, STATES, showSize } from "./words.ts";

export function requestView(decider: Decider, session: SessionView, now: Date): HTMLElement {
  const { details } = decider;
  const { request, review, state } = details;
  const { label, meaning, tone } = STATES[state];
  return element(
    "article",
    {},
    element("a.back", { href: "#/" }, "← All requests"),
    element("div.headline", {}, element("h1", {}, details.image), badge(tone, label)),
    element("p.faint", {}, meaning, " ", timesOf(details, now)),
    refusalOf(details),
    quorumOf(details),
    whatIsSealed(request, decider.identified),
    commandLine(request),
    review !== null && verdictsView(review.verdicts),
    review !== null && diffView(review.diff),
    review !== null && lintView(review.lint),
    itemsView(request),
    state === "waiting" && session.role === "approver" && decideView(decider),
  );
}

function timesOf({ builder, expiresAt, state, submittedAt }: RequestDetails, now: Date): Child {
  const time = (when: string) => element("time", { datetime: when, title: exactTime(when) }, fromNow(when, now));
  const ends = state === "waiting" || state === "reviewing" || state === "receiving";
  return ["Submitted by ", builder, " ", time(submittedAt), ends && [", expires ", time(expiresAt)], "."];
}

function refusalOf({ refusal, state }: RequestDetails): Child {
  if (refusal === null) return null;
  const over = state === "refused" || state === "rejected";
  return element(
    `div.notice.${over ? "bad" : "warn"}`,
    { role: "status" },
    element("p", {}, !over && "For now: ", refusal.message, " ", code(refusal.code)),
    refusal.hint !== undefined && element("p", {}, refusal.hint),
  );
}

function quorumOf(details: RequestDetails): Child {
  const { decisions, quorum, state } = details;
  if (quorum === null || (quorum === 0 && decisions.length === 0)) return null;
  const open = state === "waiting" ? Math.max(0, quorum - approvalsOf(details)) : 0;
  return element(
    "ul.quorum",
    { "aria-label": `${approvalsOf(details)} of ${quorum} approvals` },
    decisions.map(({ approver, decidedAt, reason, verdict }) =>
      element(
        `li.${verdict}`,
        { title: exactTime(decidedAt) },
        verdict === "approved" ? "✓ " : "✗ ",
        approver,
        " ",
        verdict,
        verdict === "approved" && reason !== undefined && `: ${reason}`,
      ),
    ),
    Array.from({ length: open }, () => element("li.open", {}, "approval to come")),
  );
}

const EARLIER_ROUNDS: Readonly<Record<string, string>> = {
  "boot-loader":
    "First round: the boot loader. Its signature is part of the tree, so the UKI follows in another request.",
  "pcr-policies": "A round before the last: PCR policies. They are part of the UKI, which follows in another request.",
};

function whatIsSealed(
  { certificate, id, image, round, sealed, seal }: SigningRequest,
  identified: boolean,
): HTMLElement {
  const { bootLoader, digests = {}, imageVersion, kernel, os } = sealed;
  return section(
    "What is signed",
    EARLIER_ROUNDS[round] !== undefined && element("p", {}, EARLIER_ROUNDS[round]),
    facts([
      ["image", image.source],
      ["manifest", code(image.manifestDigest)],
      ["target", image.target],
      ["platform", image.platform],
      ["system", [os.name, os.version !== undefined && !os.name.includes(os.version) && ` ${os.version}`]],
      ["version", imageVersion],
      ["kernel", kernel],
      ["boot loader", [bootLoader.path, bootLoader.version !== undefined && ` (${bootLoader.version})`]],
      ...Object.entries(digests).map(([format, digest]) => [`digest ${format}`, code(digest)] as const),
      ["certificate", [certificate.subject, " ", code(certificate.fingerprint)]],
      ["stub", seal.stub !== undefined && badge("warn", "not that of the image")],
      [
        "request",
        [
          code(id),
          " ",
          identified ? badge("good", "computed in this browser") : badge("bad", "not the hash of what is shown"),
        ],
      ],
    ]),
  );
}

/** What binds the tree, and what loosens it. */
const SEAL = /^composefs[.\w]*=/;
const RISKY =
  /^(?:composefs[.\w]*=\?.*|init=.*|rd\.break.*|systemd\.debug[-_]shell.*|single|emergency|selinux=0|enforcing=0|mitigations=off|module\.sig_enforce=0|lockdown=none|systemd\.verity=0|rd\.systemd\.debug_shell.*)$/;

function commandLine({ sealed: { addons = [], commandLine: line } }: SigningRequest): Child {
  if (line === undefined) return null;
  const extended = addons.filter((addon) => addon.commandLine !== "");
  return section(
    "Kernel command line",
    parameters(line),
    extended.map((addon) => [element("h3", {}, "added by ", code(addon.path)), parameters(addon.commandLine)]),
  );
}

function parameters(line: string): HTMLElement {
  const all = line.split(" ").filter((each) => each !== "");
  return element(
    "ul.line",
    {},
    all.map((each) => element(RISKY.test(each) ? "li.risky" : SEAL.test(each) ? "li.seal" : "li", {}, each)),
  );
}

function itemsView({ items }: SigningRequest): HTMLElement {
  return section(
    "Items",
    element(
      "div.wide",
      {},
      element(
        "table.items",
        {},
        element(
          "thead",
          {},
          element(
            "tr",
            {},
            ["Item", "What", "Authenticode digest"].map((title) => element("th", { scope: "col" }, title)),
          ),
        ),
        element(
          "tbody",
          {},
          items.map((item) =>
            element(
              "tr",
              {},
              element("td", {}, item.role),
              element(
                "td",
                {},
                "file" in item
                  ? [item.path, element("br"), element("span.faint", {}, showSize(item.size))]
                  : `PCR 11, ${item.bank}, ${item.phases}`,
              ),
              element("td", {}, "file" in item ? code(item.authenticodeDigest) : "–"),
            ),
          ),
        ),
      ),
    ),
  );
}
