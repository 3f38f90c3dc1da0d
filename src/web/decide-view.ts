/** Where an approver decides: with the key of this browser, or with a decision signed elsewhere. */
import type { ApproverView, RequestDetails } from "../model/signing-service/api.ts";
import { signDecision } from "./approval.ts";
import { Refused, sendDecision } from "./backend.ts";
import type { BrowserKey } from "./browser-key.ts";
import { code, element } from "./element.ts";

export interface Decider {
  readonly details: RequestDetails;
  readonly key: BrowserKey | undefined;
  readonly approvers: readonly ApproverView[];
  /** Whether the identifier was computed anew and is the one that is shown. */
  readonly identified: boolean;
  readonly onDecided: (details: RequestDetails) => void;
}

export function decideView(decider: Decider): HTMLElement {
  const { approvers, details, key } = decider;
  const me = approvers.find(({ publicKey }) => publicKey === key?.fingerprint);
  const decided = details.decisions.find(({ approver }) => approver === me?.name);
  return element(
    "section.card.decide",
    { "aria-labelledby": "decide" },
    element("h2", { id: "decide" }, "Your decision"),
    decided !== undefined
      ? element("p", {}, "You have ", decided.verdict, " this request as ", element("strong", {}, me?.name), ".")
      : me === undefined
        ? withoutKey(key)
        : withKey(decider, me.name, key as BrowserKey),
    pasted(decider),
  );
}

function withoutKey(key: BrowserKey | undefined): HTMLElement {
  const why =
    key === undefined
      ? "This browser has no key to sign with yet. "
      : "The policy does not know the key of this browser. ";
  return element("p", {}, why, element("a", { href: "#/key" }, key === undefined ? "Make one" : "See what to do"), ".");
}

function withKey(decider: Decider, approver: string, key: BrowserKey): HTMLElement {
  const { details, identified, onDecided } = decider;
  const reason = element("input", {
    id: "reason",
    maxlength: "500",
    placeholder: "Needed to reject",
  }) as HTMLInputElement;
  const problem = element("p.problem", { role: "alert" });
  const decide = async (decision: "approve" | "reject"): Promise<void> => {
    const given = reason.value.trim();
    if (decision === "reject" && given === "") {
      problem.textContent = "Say why you reject it: the builder and the audit log want to know.";
      reason.focus();
      return;
    }
    await attempt(problem, async () => {
      const content = { request: details.id, approver, decision, reason: given === "" ? undefined : given };
      onDecided(await sendDecision(details.id, await signDecision(content, key, new Date())));
    });
  };
  const busy = (decision: "approve" | "reject") => async (event: Event) => {
    const buttons = [...((event.target as HTMLElement).parentElement?.querySelectorAll("button") ?? [])];
    for (const button of buttons) button.disabled = true;
    await decide(decision);
    for (const button of buttons) button.disabled = false;
  };
  return element(
    "div",
    {},
    element(
      "p",
      {},
      "You sign as ",
      element("strong", {}, approver),
      ", with the key of this browser, for the request ",
      code(details.id),
      identified ? ", whose identifier this browser has computed from what you see." : ".",
    ),
    element("label", { for: "reason" }, "Reason"),
    reason,
    problem,
    element(
      "div.actions",
      {},
      element(
        "button.primary",
        { type: "button", disabled: !identified, onclick: (event) => void busy("approve")(event) },
        "Approve",
      ),
      element("button.danger", { type: "button", onclick: (event) => void busy("reject")(event) }, "Reject"),
    ),
  );
}

function pasted({ details, onDecided }: Decider): HTMLElement {
  const text = element("textarea", {
    id: "pasted",
    spellcheck: "false",
    placeholder: '{"schema": "sealwright.approval", …}',
  }) as HTMLTextAreaElement;
  const problem = element("p.problem", { role: "alert" });
  const send = (): Promise<void> => attempt(problem, async () => onDecided(await sendDecision(details.id, text.value)));
  return element(
    "details",
    {},
    element("summary", {}, "A decision that was signed elsewhere"),
    element(
      "p.faint",
      {},
      "Paste what ",
      element("code", {}, "sealwright sign-request --approve"),
      " has written. It counts by its signature, whoever brings it.",
    ),
    element("label.visually-hidden", { for: "pasted" }, "Signed decision, JSON"),
    text,
    problem,
    element("div.actions", {}, element("button", { type: "button", onclick: () => void send() }, "Send")),
  );
}

async function attempt(problem: HTMLElement, work: () => Promise<void>): Promise<void> {
  problem.textContent = "";
  try {
    await work();
  } catch (error) {
    problem.textContent = error instanceof Refused ? `${error.message} (${error.code})` : String(error);
  }
}
