/** What was proved, for people. */
import type { PeEvidence } from "../../formats/authenticode/index.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import type { SealArguments } from "../os/index.ts";

export function describeArguments(given: SealArguments): string {
  const shown = given.map(
    ({ digestHex, form, optional }) => `${form}=${optional ? "?" : ""}${digestHex.slice(0, 16)}...`,
  );
  const required = given.some(({ optional }) => optional) ? "" : ", fs-verity required";
  return `${shown.join(" ")}, ${given.length === 1 ? "one digest" : `${given.length} digests`}${required}`;
}

export function describeSigner(evidence: PeEvidence): string {
  const digest = `Authenticode ${toHex(evidence.digest).slice(0, 16)}...`;
  return evidence.by === "certificate" ? `signed by ${evidence.signer.subject}, ${digest}` : digest;
}

/** `1 object`, `2 objects`. */
export const countOf = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`;
