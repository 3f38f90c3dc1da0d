import * as v from "valibot";
import { VerificationError } from "../../lib/errors.ts";
import type { Immutable } from "../oci/document.ts";
import { canonicalJson } from "../oci/index.ts";
import { base64Field, parseVersioned, sha256Field } from "../signing-request/document.ts";
import { fingerprintOf, isSignedBy, SIGNATURE_ALGORITHMS } from "../signing-request/index.ts";
import type { PublicKey } from "../x509/index.ts";
import { hashLine, type LogKey, parseAuditLine } from "./entry.ts";
import { AUDIT_VERSION, HEAD_SCHEMA, MAX_HEAD_SIZE } from "./layout.ts";

const headSchema = v.strictObject({
  schema: v.literal(HEAD_SCHEMA),
  version: v.literal(AUDIT_VERSION),
  /** Of the last entry. */
  sequence: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  /** SHA-256 of its line. */
  line: sha256Field,
  key: sha256Field,
  algorithm: v.picklist(SIGNATURE_ALGORITHMS),
  signature: base64Field(2048),
});

/** How far a log goes, signed: a log alone cannot tell that its end was cut off. */
export type AuditHead = Immutable<v.InferOutput<typeof headSchema>>;

/** A place in a log: sequence number and hash of the line. */
export type AuditPosition = Pick<AuditHead, "sequence" | "line">;

/**
 * @throws {FormatError} `audit.head.malformed`, `audit.head.schema`
 * @throws {UnsupportedError} `audit.head.version`
 */
export function parseAuditHead(bytes: Uint8Array): AuditHead {
  return parseVersioned(bytes, headSchema, {
    what: "head of the audit log",
    schema: HEAD_SCHEMA,
    version: AUDIT_VERSION,
    area: "audit.head",
    maxSize: MAX_HEAD_SIZE,
  });
}

/** @param line the last one, without its end */
export async function makeAuditHead(line: Uint8Array, key: LogKey): Promise<Uint8Array> {
  const head = {
    schema: HEAD_SCHEMA,
    version: AUDIT_VERSION,
    sequence: parseAuditLine(line).sequence,
    line: hashLine(line),
    key: key.fingerprint,
    algorithm: key.algorithm,
  };
  const signature = Buffer.from(await key.sign(canonicalJson(head))).toString("base64");
  return Buffer.from(`${JSON.stringify({ ...head, signature }, undefined, 2)}\n`);
}

/** @throws {VerificationError} `audit.head-edited`, `audit.other-key` */
export function verifyAuditHead(head: AuditHead, key: PublicKey): AuditPosition {
  const { signature, ...signed } = head;
  if (head.key !== fingerprintOf(key)) throw otherKey("head of the audit log", head.key, key);
  if (isSignedBy(key, head.algorithm, canonicalJson(signed), Buffer.from(signature, "base64"))) return head;
  throw new VerificationError("audit.head-edited", "head of the audit log: the signature is not the log key's");
}

export function otherKey(what: string, found: string, key: PublicKey): VerificationError {
  const expected = fingerprintOf(key);
  return new VerificationError("audit.other-key", `${what}: signed with the key ${found}, expected ${expected}`, {
    data: { found, expected },
  });
}
