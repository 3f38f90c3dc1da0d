import { createHash, createPublicKey, type KeyObject, verify } from "node:crypto";
import * as v from "valibot";
import { quote, UnsupportedError, VerificationError } from "../../lib/errors.ts";
import type { Immutable } from "../oci/document.ts";
import { canonicalJson } from "../oci/index.ts";
import type { PublicKey } from "../x509/index.ts";
import { base64Field, parseVersioned, sha256Field, textField, timeField } from "./document.ts";
import { APPROVAL_SCHEMA, APPROVER_NAME, MAX_APPROVAL_SIZE, SCHEMA_VERSION } from "./layout.ts";

/**
 * As WebCrypto makes them, so that a browser can: RSASSA-PKCS1-v1_5 with SHA-256; ECDSA on P-256 with SHA-256, whose
 * signature is r and s of 32 bytes each (IEEE P1363).
 */
export const SIGNATURE_ALGORITHMS = ["rsa-sha256", "ecdsa-p256-sha256"] as const;
export type SignatureAlgorithm = (typeof SIGNATURE_ALGORITHMS)[number];

const approvalSchema = v.strictObject({
  schema: v.literal(APPROVAL_SCHEMA),
  version: v.literal(SCHEMA_VERSION),
  /** Identifier of the request. */
  request: sha256Field,
  /** As the policy names them. */
  approver: v.pipe(v.string(), v.regex(APPROVER_NAME)),
  decision: v.picklist(["approve", "reject"]),
  reason: v.optional(textField),
  /** As the approver says. */
  created: timeField,
  /** SHA-256 of the approver's SubjectPublicKeyInfo, DER. */
  publicKey: sha256Field,
  algorithm: v.picklist(SIGNATURE_ALGORITHMS),
  /** Over `approvalMessage`. Base64. */
  signature: base64Field(2048),
});

/**
 * Somebody's decision on a request.
 *
 * It is signed over the canonical JSON (RFC 8785) of all its members but `signature`, which for this flat object is
 * `JSON.stringify(approval, Object.keys(approval).sort())`.
 */
export type Approval = Immutable<v.InferOutput<typeof approvalSchema>>;

/**
 * @throws {FormatError} `approval.malformed`, `approval.schema`
 * @throws {UnsupportedError} `approval.version`
 */
export function parseApproval(bytes: Uint8Array): Approval {
  return parseVersioned(bytes, approvalSchema, {
    what: "approval",
    schema: APPROVAL_SCHEMA,
    version: SCHEMA_VERSION,
    area: "approval",
    maxSize: MAX_APPROVAL_SIZE,
  });
}

/** An approval before it is signed. */
export type ApprovalContent = Omit<Approval, "schema" | "version" | "signature">;

/** The bytes that an approver signs. */
export function approvalMessage(content: ApprovalContent & { readonly signature?: string }): Uint8Array {
  const { signature: _, ...signed } = content;
  return canonicalJson({ schema: APPROVAL_SCHEMA, version: SCHEMA_VERSION, ...signed });
}

/** @param signature in the form that `content.algorithm` says */
export function makeApproval(content: ApprovalContent, signature: Uint8Array): Approval {
  return {
    schema: APPROVAL_SCHEMA,
    version: SCHEMA_VERSION,
    ...content,
    signature: Buffer.from(signature).toString("base64"),
  };
}

export function encodeApproval(approval: Approval): Uint8Array {
  return Buffer.from(`${JSON.stringify(approval, undefined, 2)}\n`);
}

/**
 * Verifies that an approval is about this request and was signed with this key. Whose key it is, the policy knows.
 *
 * @throws {VerificationError} `approval.other-request`, `approval.other-key`, `approval.signature-wrong`
 */
export function verifyApproval(approval: Approval, request: string, key: PublicKey): void {
  const whose = `approval of ${quote(approval.approver)}`;
  if (approval.request !== request) {
    throw new VerificationError("approval.other-request", `${whose}: it is about the request ${approval.request}`, {
      data: { found: approval.request, expected: request },
    });
  }
  if (approval.publicKey !== fingerprintOf(key)) {
    throw new VerificationError("approval.other-key", `${whose}: signed with the key ${approval.publicKey}`, {
      data: { found: approval.publicKey, expected: fingerprintOf(key) },
    });
  }
  if (isSignedBy(key, approval.algorithm, approvalMessage(approval), Buffer.from(approval.signature, "base64"))) return;
  throw new VerificationError("approval.signature-wrong", `${whose}: the signature was not made with their key`);
}

/** SHA-256 of the SubjectPublicKeyInfo, lower-case hex. */
export function fingerprintOf({ spki }: PublicKey): string {
  return createHash("sha256").update(spki).digest("hex");
}

/** @throws {UnsupportedError} `approval.key-type` for a key that is neither RSA nor on P-256 */
export function signatureAlgorithmOf({ facts }: PublicKey): SignatureAlgorithm {
  if (facts.kind === "rsa") return "rsa-sha256";
  if (facts.kind === "ec" && facts.curve === "P-256") return "ecdsa-p256-sha256";
  throw new UnsupportedError("approval.key-type", "the key is neither RSA nor on the curve P-256");
}

/** Whether a signature in the form of its algorithm was made with this key. */
export function isSignedBy(
  key: PublicKey,
  algorithm: SignatureAlgorithm,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  const { facts } = key;
  const fits = algorithm === "rsa-sha256" ? facts.kind === "rsa" : facts.kind === "ec" && facts.curve === "P-256";
  if (!fits) return false;
  try {
    const object: KeyObject = createPublicKey({ key: Buffer.from(key.spki), format: "der", type: "spki" });
    return verify("sha256", message, { key: object, dsaEncoding: "ieee-p1363" }, signature);
  } catch {
    return false; // OpenSSL throws instead of answering for what is no signature of this key type
  }
}
