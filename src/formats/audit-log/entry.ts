import { createHash } from "node:crypto";
import * as v from "valibot";
import { quote, VerificationError } from "../../lib/errors.ts";
import { digestField, type Immutable } from "../oci/document.ts";
import { canonicalJson } from "../oci/index.ts";
import { base64Field, parseVersioned, sha256Field, textField, timeField } from "../signing-request/document.ts";
import { ROUNDS, SIGNATURE_ALGORITHMS, type SignatureAlgorithm } from "../signing-request/index.ts";
import { AUDIT_SCHEMA, AUDIT_VERSION, MAX_LINE_SIZE, NO_PREVIOUS } from "./layout.ts";

const factFields = {
  /** `signed`: the signatures were made. `refused`: they were not, and `refusal` says why. */
  event: v.picklist(["signed", "refused"]),
  refusal: v.optional(v.strictObject({ code: textField, message: v.pipe(v.string(), v.maxLength(4096)) })),
  /** Identifier of the request. */
  request: sha256Field,
  round: v.picklist(ROUNDS),
  /** What the image is known as: the target's repository, else the source's. The next one of that name is compared. */
  name: textField,
  image: v.strictObject({
    source: textField,
    /** Where it was read from, if not there. */
    readFrom: v.optional(textField),
    target: v.optional(textField),
    manifestDigest: digestField,
    platform: textField,
  }),
  os: v.strictObject({ id: textField, version: v.optional(textField), imageVersion: v.optional(textField) }),
  kernel: textField,
  commandLine: v.optional(textField),
  /** Composefs digests by format. */
  digests: v.optional(v.record(v.string(), v.string())),
  /** What was signed; of a refused request what was to be. */
  items: v.array(
    v.strictObject({
      role: textField,
      name: textField,
      /** Authenticode digest, or SHA-256 of what was signed where there is no PE file. */
      digest: sha256Field,
      /** SHA-256 of the signature. */
      signature: v.optional(sha256Field),
    }),
  ),
  /** Fingerprint of the signing certificate. */
  certificate: sha256Field,
  approvals: v.array(v.strictObject({ approver: textField, publicKey: sha256Field, approval: sha256Field })),
  /** SHA-256 of the policy file. */
  policy: v.optional(sha256Field),
};

const factsSchema = v.strictObject(factFields);

const entrySchema = v.strictObject({
  schema: v.literal(AUDIT_SCHEMA),
  version: v.literal(AUDIT_VERSION),
  /** From 0, without gaps. */
  sequence: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  /** By the clock of whoever writes the log. */
  time: timeField,
  /** SHA-256 of the line before, without its end; of the first line 64 zeros. */
  previous: sha256Field,
  ...factsSchema.entries,
  /** SHA-256 of the SubjectPublicKeyInfo of the log's key. */
  key: sha256Field,
  algorithm: v.picklist(SIGNATURE_ALGORITHMS),
  /** Over the canonical JSON of everything else. Base64. */
  signature: base64Field(2048),
});

export type AuditEntry = Immutable<v.InferOutput<typeof entrySchema>>;

/** What happened, without place in the log. */
export type AuditFacts = Immutable<v.InferOutput<typeof factsSchema>>;

/** An entry before it is signed. */
export type UnsignedEntry = Omit<AuditEntry, "schema" | "version" | "signature">;

/**
 * Reads one line, without its end.
 *
 * @throws {FormatError} `audit.malformed`, `audit.schema`
 * @throws {UnsupportedError} `audit.version`
 * @throws {VerificationError} `audit.entry-edited` for JSON that is not the canonical one
 */
export function parseAuditLine(line: Uint8Array): AuditEntry {
  const entry: AuditEntry = parseVersioned(line, entrySchema, {
    what: "audit entry",
    schema: AUDIT_SCHEMA,
    version: AUDIT_VERSION,
    area: "audit",
    maxSize: MAX_LINE_SIZE,
  });
  if (Buffer.compare(encodeAuditLine(entry), line) === 0) return entry;
  throw new VerificationError("audit.entry-edited", `audit entry ${entry.sequence}: not as it was written`);
}

/** The one way to write an entry: canonical JSON (RFC 8785), one line. */
export function encodeAuditLine(entry: AuditEntry): Uint8Array {
  return canonicalJson(entry);
}

/** The bytes that the log's key signs. */
export function auditMessage(entry: UnsignedEntry & { readonly signature?: string }): Uint8Array {
  const { signature: _, ...signed } = entry;
  return canonicalJson({ schema: AUDIT_SCHEMA, version: AUDIT_VERSION, ...signed });
}

/** What names a line, and chains the next one to it. */
export const hashLine = (line: Uint8Array): string => createHash("sha256").update(line).digest("hex");

/** Whoever can sign for a log. */
export interface LogKey {
  /** SHA-256 of the SubjectPublicKeyInfo. */
  readonly fingerprint: string;
  readonly algorithm: SignatureAlgorithm;
  /** @returns the signature in the form of the algorithm */
  sign(message: Uint8Array): Promise<Uint8Array>;
}

/**
 * Makes the line that follows another.
 *
 * @param last the line before, without its end; absent for the first
 * @returns the line, without its end
 */
export async function makeAuditLine(
  last: Uint8Array | undefined,
  facts: AuditFacts,
  time: Date,
  key: LogKey,
): Promise<Uint8Array> {
  const previous = last && parseAuditLine(last);
  const entry: UnsignedEntry = {
    sequence: previous === undefined ? 0 : previous.sequence + 1,
    time: time.toISOString().replace(/\.\d+Z$/, "Z"),
    previous: last === undefined ? NO_PREVIOUS : hashLine(last),
    ...facts,
    key: key.fingerprint,
    algorithm: key.algorithm,
  };
  const signature = Buffer.from(await key.sign(auditMessage(entry))).toString("base64");
  const line = encodeAuditLine({ schema: AUDIT_SCHEMA, version: AUDIT_VERSION, ...entry, signature });
  // What cannot be read again must not get into a log.
  parseAuditLine(line);
  return line;
}

/** For messages: which entry, and what it is about. */
export function describeEntry({ event, name, sequence }: AuditEntry): string {
  return `audit entry ${sequence} (${event} ${quote(name)})`;
}
