import { createHash } from "node:crypto";
import { equalBytes, toHex } from "../../lib/bytes/numbers.ts";
import { FormatError, VerificationError } from "../../lib/errors.ts";
import { DIGEST_ALGORITHMS, parseSignedData, type SignedData, verifySigner } from "../cms/index.ts";
import { type DerReader, readOnly, TAG } from "../der/index.ts";
import type { Certificate, HashName } from "../x509/index.ts";

/** id-ct-TSTInfo (RFC 3161 §2.4.2). */
const OID_TST_INFO = "1.2.840.113549.1.9.16.1.4";

/** A timestamp; nothing in it has been verified. Byte fields are views. */
export interface Timestamp {
  /** When, by the authority's clock; fractions of a second are kept to milliseconds. */
  readonly time: Date;
  /** Digest of what was stamped, and how it was made. */
  readonly algorithm: HashName;
  readonly digest: Uint8Array;
  readonly policy: string;
  readonly serial: bigint;
  readonly nonce: bigint | undefined;
  /** The TSTInfo as it was signed. */
  readonly content: Uint8Array;
  readonly data: SignedData;
}

/**
 * Reads a token.
 *
 * @throws {FormatError} `timestamp.content-type`, `timestamp.version`, `timestamp.time`, `timestamp.imprint`, `cms.…`,
 *   `der.…`, `x509.…`
 * @see RFC 3161 §2.4.2
 */
export function parseTimestampToken(bytes: Uint8Array): Timestamp {
  const what = "TimeStampToken";
  // A content that is not plain data makes version 3 (RFC 5652 §5.1).
  const data = parseSignedData(bytes, what, 3n);
  if (data.contentType !== OID_TST_INFO || data.content?.tag !== TAG.OCTET_STRING) {
    const expected = `${OID_TST_INFO} (TSTInfo) with its content`;
    throw new FormatError("timestamp.content-type", { what, expected, found: data.contentType });
  }
  const { content } = data.content;
  const info = readOnly(content, TAG.SEQUENCE, "TSTInfo");
  const version = info.integer("version");
  if (version !== 1n) {
    throw new FormatError("timestamp.version", { what: "TSTInfo: version", expected: "1", found: `${version}` });
  }
  const policy = info.oid("policy");
  const { algorithm, digest } = readImprint(info.sequence("messageImprint"));
  const serial = info.integer("serialNumber");
  const time = readTime(info);
  if (info.nextIs(TAG.SEQUENCE)) info.any("accuracy");
  if (info.nextIs(TAG.BOOLEAN)) info.boolean("ordering");
  const nonce = info.nextIs(TAG.INTEGER) ? info.integer("nonce") : undefined;
  while (!info.done) info.any("tsa or extensions");
  return { time, algorithm, digest, policy, serial, nonce, content, data };
}

export interface TimestampEvidence {
  readonly time: Date;
  /** Whose key signed; not judged. */
  readonly authority: Certificate;
}

/**
 * Verifies that a token stamps these bytes and that the certificate in it signed it. Says nothing about trust in that
 * certificate.
 *
 * @param nonce of the request, where there was one
 * @throws {VerificationError} `timestamp.other-content`, `timestamp.nonce`, `cms.…`
 */
export function verifyTimestamp(timestamp: Timestamp, stamped: Uint8Array, nonce?: bigint): TimestampEvidence {
  const digest = createHash(timestamp.algorithm).update(stamped).digest();
  if (!equalBytes(digest, timestamp.digest)) {
    throw new VerificationError(
      "timestamp.other-content",
      `timestamp: found digest ${toHex(timestamp.digest.subarray(0, 64))}, expected ${toHex(digest)}`,
    );
  }
  if (nonce !== undefined && timestamp.nonce !== nonce) {
    throw new VerificationError("timestamp.nonce", "timestamp: it answers another request, its nonce is another one");
  }
  return { time: timestamp.time, authority: verifySigner(timestamp.data, timestamp.content) };
}

function readImprint(imprint: DerReader): { readonly algorithm: HashName; readonly digest: Uint8Array } {
  const { offset } = imprint;
  const identifier = imprint.sequence("hashAlgorithm");
  const oid = identifier.oid("algorithm");
  if (!identifier.done) identifier.null("parameters");
  identifier.end();
  const digest = imprint.octetString("hashedMessage");
  imprint.end();
  const algorithm = DIGEST_ALGORITHMS[oid];
  if (algorithm !== undefined) return { algorithm, digest };
  const expected = "SHA-256, SHA-384 or SHA-512";
  throw new FormatError("timestamp.imprint", { what: "TSTInfo: messageImprint", offset, expected, found: oid });
}

/** GeneralizedTime in UTC, where fractions are allowed, unlike in certificates (RFC 3161 §2.4.2, genTime). */
function readTime(info: DerReader): Date {
  const { content, offset } = info.value(TAG.GENERALIZED_TIME, "genTime");
  const text = Buffer.from(content).toString("latin1");
  const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\.\d{1,9})?Z$/.exec(text);
  const [, year, month, day, hour, minute, second, fraction = ""] = parts ?? [];
  const time = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}${fraction.slice(0, 4)}Z`);
  if (parts !== null && !Number.isNaN(time.getTime())) return time;
  const expected = "YYYYMMDDhhmmss[.f]Z";
  throw new FormatError("timestamp.time", { what: "TSTInfo: genTime", offset, expected, found: "something else" });
}
