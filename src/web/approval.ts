/** Decisions as they are signed, and what they are about, computed anew in this browser. */
import type { SigningRequest } from "../formats/signing-request/index.ts";
import { type BrowserKey, sha256Hex, sign, toBase64 } from "./browser-key.ts";

export interface DecisionContent {
  readonly request: string;
  readonly approver: string;
  readonly decision: "approve" | "reject";
  readonly reason: string | undefined;
}

/** Signs a decision with the key of this browser. @returns the approval as JSON */
export async function signDecision(content: DecisionContent, key: BrowserKey, now: Date): Promise<string> {
  const { reason, ...rest } = content;
  const approval = {
    schema: "sealwright.approval",
    version: 1,
    ...rest,
    ...(reason === undefined ? {} : { reason }),
    created: now.toISOString().replace(/\.\d+Z$/, "Z"),
    publicKey: key.fingerprint,
    algorithm: "ecdsa-p256-sha256",
  };
  const signature = await sign(key, new TextEncoder().encode(canonicalJson(approval)));
  return JSON.stringify({ ...approval, signature: toBase64(signature) });
}

/** Whether the identifier is the hash of what the page shows. */
export async function isOwnIdentifier({ id, ...content }: SigningRequest): Promise<boolean> {
  return (await sha256Hex(new TextEncoder().encode(canonicalJson(content)))) === id;
}

/** RFC 8785. Members are sorted by UTF-16 code units, as `sort` does; numbers are written as `JSON.stringify` does. */
function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  members.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`).join(",")}}`;
}
