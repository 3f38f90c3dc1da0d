import type { ReferrersReport } from "../../actions/referrers/list-referrers.ts";
import type { RemarksReport } from "../../actions/verify/remarks.ts";
import type { Remark } from "../../model/referrers/index.ts";
import type { Shown } from "../perform.ts";
import { printable } from "./printable.ts";

/** A line for each thing that is said, with who signed it. */
export function remarkLines(remarks: readonly Remark[], indent = ""): string[] {
  return remarks.map((remark) => {
    const { digest, fault, kind, says, tag } = remark;
    const place = tag === undefined ? digest.slice(0, "sha256:".length + 12) : `.${tag.split(".")[1]}`;
    const what = fault === undefined ? says : `${fault.message} [${fault.code}]`;
    const line = `${indent}${kind.padEnd(11)} ${place.padEnd(19)}  ${signatureText(remark)}  ${what}`;
    return printable(line);
  });
}

function signatureText({ fault, signature }: Remark): string {
  if (fault !== undefined) return "FALSE";
  switch (signature.status) {
    case "good":
      return `signed by ${signature.by}:`;
    case "unknown-key":
      return "signed, by no key given:";
    case "unsigned":
      return "unsigned:";
    case "unchecked":
      return "signed, not checked:";
    default:
      return signature satisfies never;
  }
}

export function showReferrers(report: ReferrersReport): Shown {
  const lines = report.subjects.flatMap(({ manifestDigest, platform, remarks }) => [
    `${manifestDigest}${platform === undefined ? "" : `  ${platform}`}`,
    ...(remarks.length === 0 ? ["  nothing is said about it"] : remarkLines(remarks, "  ")),
  ]);
  return { text: lines.join("\n"), json: report };
}

/** A verdict with what is said about the image below it. */
export function withRemarks(shown: Shown, { failure, refusal, remarks }: RemarksReport): Shown {
  const lines = [
    ...remarkLines(remarks),
    ...(failure === undefined ? [] : [`note: what is said about it: ${printable(failure.message)} [${failure.code}]`]),
    ...(refusal === undefined ? [] : [`FAIL  required: ${printable(refusal.message)} [${refusal.code}]`]),
  ];
  const said =
    lines.length === 0 ? "" : `\nsaid about it, beside the chain:\n${lines.map((line) => `  ${line}`).join("\n")}`;
  const problem = (error: typeof failure) => error && { code: error.code, message: error.message };
  return {
    ...shown,
    text: `${shown.text}${said}`,
    json: {
      ...(shown.json as object),
      remarks,
      ...(failure && { remarksFailure: problem(failure) }),
      ...(refusal && { remarksRefusal: problem(refusal) }),
    },
    exitCode: shown.exitCode || refusal?.exitCode || 0,
  };
}
