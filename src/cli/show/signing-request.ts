/** Signing requests for people: what would be signed, and what comes next. */
import type { PrepareReport } from "../../actions/seal/prepare.ts";
import type { ApproveReport } from "../../actions/sign-request/approve.ts";
import type { Review } from "../../actions/sign-request/review.ts";
import type { SignRequestReport } from "../../actions/sign-request/sign-request.ts";
import type { SigningRequest } from "../../formats/signing-request/index.ts";
import type { Shown } from "../perform.ts";
import { showDiff } from "./diff.ts";
import { printable } from "./printable.ts";

export function showPrepared(report: PrepareReport): Shown {
  const { directory, loaderSignature, request, warnings } = report;
  const rows: [string, string][] = [
    ["request", `${directory}  ${ROUND[request.round]}${LOADER[loaderSignature]}`],
    ...requestRows(request),
    ["next", NEXT[request.round](directory)],
  ];
  const lines = warnings.map(({ code, message }) => `warning: ${message} [${code}]`);
  return { text: [...lines, ...showRows(rows)].join("\n"), json: { directory, loaderSignature, request, warnings } };
}

const ROUND = {
  "boot-loader": "the boot loader first, then the rest",
  "pcr-policies": "the PCR policies first, then the rest",
  image: "the last round",
} as const;

const LOADER = {
  "in the image": "; the boot loader of the image is signed",
  cache: "; the boot loader was signed for an earlier build",
  "earlier round": "; the boot loader was signed in an earlier one",
  "to be signed": "",
} as const;

const NEXT = {
  "boot-loader": (directory: string) =>
    `sign it: sealwright sign-request ${directory} --key KEY, then run the same seal --prepare again\n${" ".repeat(14)}` +
    "(the boot loader is a file of the sealed tree: its signature is part of the digest that the UKI carries)",
  "pcr-policies": (directory: string) =>
    `sign it: sealwright sign-request ${directory} --pcr-key KEY, then run the same seal --prepare again\n${" ".repeat(14)}` +
    "(the signatures of the PCR policies are part of the UKI)",
  image: (directory: string) =>
    `sign it: sealwright sign-request ${directory} --key KEY, then: sealwright seal --attach ${directory} --to IMAGE`,
} as const;

/** What is in a request, as rows of a title and a value. */
export function requestRows(request: SigningRequest): [title: string, value: string][] {
  const { certificate, image, items, sealed } = request;
  const { addons = [], bootLoader, commandLine, digests = {}, imageVersion, kernel, os } = sealed;
  return [
    ["identifier", request.id],
    ["created", `${request.created} by ${request.tool}`],
    ["image", `${image.source}  ${image.manifestDigest}  ${image.platform}`],
    ...(image.target === undefined ? [] : [["sealed as", image.target] as [string, string]]),
    ["system", `${os.name}${imageVersion === undefined ? "" : `, image version ${imageVersion}`}, kernel ${kernel}`],
    ["boot loader", `${bootLoader.path}  systemd-boot ${bootLoader.version ?? "of unknown version"}`],
    ...(commandLine === undefined ? [] : [["command line", commandLine] as [string, string]]),
    ...addons.map((addon): [string, string] => ["addon", `${addon.path}  ${addon.commandLine}`.trimEnd()]),
    ...Object.entries(digests).map(([name, hex]): [string, string] => ["digest", `${name} ${hex}`]),
    ["signer", `${certificate.subject}  sha256 ${certificate.fingerprint}`],
    ...items.map((item): [string, string] => [
      "to sign",
      "authenticodeDigest" in item
        ? `${item.name}  ${item.role}, Authenticode ${item.authenticodeDigest}`
        : `${item.name}  ${item.role}, ${item.bank}, ${item.phases}`,
    ]),
  ];
}

export function showRows(rows: readonly (readonly [string, string])[]): string[] {
  return rows.map(([title, value]) => `${title.padEnd(13)} ${value}`);
}

/** What an approver or a rejecter has done. */
export function showDecision({ approval, directory, file, request }: ApproveReport): Shown {
  const done = approval.decision === "approve" ? "approved" : "rejected";
  const rows: [string, string][] = [
    ...requestRows(request),
    [
      done,
      `by ${approval.approver}, key ${approval.publicKey}${approval.reason === undefined ? "" : `: ${approval.reason}`}`,
    ],
    ["written to", `${directory}/${file}`],
  ];
  return { text: showRows(rows).join("\n"), json: { directory, file, approval } };
}

/** A request, what the policy says of it, and what came of it. */
export function showSigned(report: SignRequestReport, limit: number): Shown {
  const { audit, directory, refusal, request, review, signed } = report;
  const outcome: [string, string][] = [
    ...signed.map((name): [string, string] => ["signed", `${name}  ${directory}/signatures/${name}.sig`]),
    ...(audit === undefined
      ? []
      : [["audit log", `${audit.log}  ${audit.sequence}:${audit.line}`] as [string, string]]),
    ...(review === undefined ? [["unchecked", UNCHECKED] as [string, string]] : []),
    ...(refusal === undefined ? [] : [["REFUSED", `${refusal.message} [${refusal.code}]`] as [string, string]]),
  ];
  const lines = [
    ...showRows(requestRows(request)),
    ...(review === undefined ? [] : showReview(review, limit)),
    ...showRows(outcome),
  ];
  return { text: lines.map(printable).join("\n"), json: report, ...(refusal && { exitCode: EXIT_REFUSED }) };
}

const UNCHECKED = "without --policy, the image was not read: the files are as the request describes them, no more";

/** That of `PolicyError`. */
const EXIT_REFUSED = 81;

function showReview(review: Review, limit: number): string[] {
  const { approvals, diff, diffProblem, last, lint, readFrom, rules } = review;
  const marks = rules.map(
    ({ code, detail, holds, rule }) =>
      `${holds ? "ok  " : "FAIL"}  ${rule.padEnd(17)} ${detail}${code === undefined ? "" : ` [${code}]`}`,
  );
  const before =
    last === null
      ? "nothing of that name"
      : `${last.version ?? "a version it does not say"}  ${last.manifestDigest}  ${last.time}`;
  return [
    ...showRows([
      ["made again", `from ${readFrom}: bit for bit the request`],
      ["signed last", before],
    ]),
    ...(diffProblem === undefined ? [] : [`no comparison: ${diffProblem.message} [${diffProblem.code}]`]),
    "",
    ...(diff === null ? [] : showDiff(diff, { files: false, limit, exitCode: false }).text.split("\n")),
    ...lint.map(
      ({ code, level, message, name }) =>
        `${level === "fatal" ? "Failed lint" : "Lint warning"}: ${name}: ${message.split("\n", 1)[0]} [${code}]`,
    ),
    ...approvals.problems.map(({ code, file, message }) => `warning: ${file}: ${message} [${code}]`),
    ...(lint.length + approvals.problems.length > 0 ? [""] : []),
    ...marks,
    "",
  ];
}
