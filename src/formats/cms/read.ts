import { FormatError } from "../../lib/errors.ts";
import { contextTag, type DerReader, type DerValue, readOnly, TAG } from "../der/index.ts";
import { type Certificate, type HashName, parseCertificate } from "../x509/index.ts";
import {
  DIGEST_ALGORITHMS,
  MAX_ATTRIBUTES,
  MAX_CERTIFICATES,
  MAX_DIGEST_ALGORITHMS,
  OID_SIGNED_DATA,
} from "./layout.ts";

/** A SignedData with its one signer; nothing in it has been verified. Byte fields are views. */
export interface SignedData {
  /** Whether it stood in a ContentInfo, or bare as in authenticated variables. */
  readonly wrapped: boolean;
  readonly digestAlgorithms: readonly HashName[];
  readonly contentType: string;
  /** The value inside `[0] EXPLICIT`; absent when the content is detached. */
  readonly content: DerValue | undefined;
  readonly certificates: readonly Certificate[];
  readonly signer: SignerInfo;
}

export interface SignerInfo {
  /** Issuer and serial number of the signing certificate, as DER. */
  readonly issuerDer: Uint8Array;
  readonly serialDer: Uint8Array;
  readonly digestAlgorithm: HashName;
  readonly signatureAlgorithm: string;
  readonly signedAttributes: SignedAttributes | undefined;
  readonly signature: Uint8Array;
  /** `[1]` as it stands, unread: the signer did not sign it, and firmware does not look at it. */
  readonly unsignedAttributes: DerValue | undefined;
}

export interface SignedAttributes {
  /** The attributes as they were signed: a SET (0x31), in the order in which they stand (RFC 5652 §5.4). */
  readonly der: Uint8Array;
  /** The single value of each attribute, by type. */
  readonly values: ReadonlyMap<string, DerValue>;
}

/**
 * Reads a SignedData with exactly one signer, in a ContentInfo or bare.
 *
 * @param version 1, or 3 for content that is not plain data, outside of PKCS #7
 * @throws {FormatError} `cms.…`, `der.…`, `x509.…`
 * @see RFC 5652 §5.1, RFC 2315 §9.1 (both spell this subset the same way)
 */
export function parseSignedData(bytes: Uint8Array, what = "SignedData", version = 1n): SignedData {
  const outer = readOnly(bytes, TAG.SEQUENCE, what);
  const wrapped = outer.nextIs(TAG.OBJECT_IDENTIFIER);
  if (!wrapped) return readSignedData(outer, false, version);
  requireOid(outer, "contentType", OID_SIGNED_DATA, "cms.content-type.unexpected");
  const explicit = outer.context(0, "content");
  outer.end();
  const inner = explicit.sequence("SignedData");
  explicit.end();
  return readSignedData(inner, true, version);
}

function readSignedData(data: DerReader, wrapped: boolean, version: bigint): SignedData {
  requireVersion(data, "version", version);
  const digestAlgorithms = readSetOf(data, "digestAlgorithms", MAX_DIGEST_ALGORITHMS, readDigestAlgorithm);
  const encapsulated = data.sequence("encapContentInfo");
  const contentType = encapsulated.oid("eContentType");
  const content = encapsulated.done ? undefined : readSingle(encapsulated.context(0, "eContent"), "eContent");
  encapsulated.end();

  const certificates: Certificate[] = [];
  if (data.nextIs(contextTag(0))) {
    const set = data.context(0, "certificates");
    while (!set.done) {
      requireRoom(certificates.length, MAX_CERTIFICATES, "certificates", set.offset);
      certificates.push(parseCertificate(set.value(TAG.SEQUENCE, "certificate").raw, "embedded certificate"));
    }
  }
  if (data.nextIs(contextTag(1))) data.any("crls");
  const signers = data.set("signerInfos");
  data.end();
  const { offset } = signers;
  const [signer, ...more] = signers.done ? [] : readSigners(signers);
  if (signer === undefined || more.length > 0) {
    throw new FormatError("cms.signers.count", {
      what: "SignedData: signerInfos",
      offset,
      expected: "one signer",
      found: signer === undefined ? "none" : "more",
    });
  }
  return { wrapped, digestAlgorithms, contentType, content, certificates, signer };
}

/** Stops at the second one: it is only there to be refused. */
function readSigners(signers: DerReader): SignerInfo[] {
  const first = readSignerInfo(signers.sequence("SignerInfo"));
  return signers.done ? [first] : [first, first];
}

function readSignerInfo(info: DerReader): SignerInfo {
  requireVersion(info, "version", 1n);
  const identifier = info.sequence("issuerAndSerialNumber");
  const issuerDer = identifier.value(TAG.SEQUENCE, "issuer").raw;
  const serialDer = identifier.value(TAG.INTEGER, "serialNumber").raw;
  identifier.end();
  const digestAlgorithm = readDigestAlgorithm(info);
  const signedAttributes = info.nextIs(contextTag(0))
    ? readSignedAttributes(info, info.value(contextTag(0), "signedAttrs"))
    : undefined;
  const algorithm = info.sequence("signatureAlgorithm");
  const signatureAlgorithm = algorithm.oid("algorithm");
  // NULL for RSA, absent for ECDSA; RSA-PSS would have parameters, and is refused here.
  if (!algorithm.done) algorithm.null("parameters");
  algorithm.end();
  const signature = info.octetString("signature");
  const unsignedAttributes = info.nextIs(contextTag(1)) ? info.any("unsignedAttrs") : undefined;
  info.end();
  const algorithms = { digestAlgorithm, signatureAlgorithm };
  return { issuerDer, serialDer, ...algorithms, signedAttributes, signature, unsignedAttributes };
}

function readSignedAttributes(info: DerReader, value: DerValue): SignedAttributes {
  const der = Uint8Array.from(value.raw);
  der[0] = TAG.SET;
  return { der, values: readAttributes(info.into(value, "signedAttrs")) };
}

/**
 * Reads the attributes of a SET that came on its own, as external signing hands it back.
 *
 * @throws {FormatError} as `parseSignedData()`
 */
export function parseSignedAttributes(bytes: Uint8Array, what = "signed attributes"): SignedAttributes {
  return { der: bytes, values: readAttributes(readOnly(bytes, TAG.SET, what)) };
}

function readAttributes(set: DerReader): ReadonlyMap<string, DerValue> {
  const values = new Map<string, DerValue>();
  while (!set.done) {
    const { offset } = set;
    requireRoom(values.size, MAX_ATTRIBUTES, "signed attributes", offset);
    const attribute = set.sequence("Attribute");
    const type = attribute.oid("attrType");
    const value = readSingle(attribute.set("attrValues"), `attribute ${type}`);
    attribute.end();
    if (values.has(type)) {
      throw new FormatError("cms.attribute.repeated", {
        what: "SignerInfo: signedAttrs",
        offset,
        expected: "each attribute once",
        found: `${type} again`,
      });
    }
    values.set(type, value);
  }
  return values;
}

function readDigestAlgorithm(reader: DerReader): HashName {
  const { offset } = reader;
  const algorithm = reader.sequence("digestAlgorithm");
  const oid = algorithm.oid("algorithm");
  // RFC 5754 §2 wants the parameters absent and NULL accepted; signing tools write NULL.
  if (!algorithm.done) algorithm.null("parameters");
  algorithm.end();
  const hash = DIGEST_ALGORITHMS[oid];
  if (hash !== undefined) return hash;
  throw new FormatError("cms.digest-algorithm.unsupported", {
    what: "SignedData: digestAlgorithm",
    offset,
    expected: "SHA-256, SHA-384 or SHA-512",
    found: oid,
  });
}

/** @see RFC 5652 §5.1: version 1 is issuer and serial number, which is all that PKCS #7 knew. */
function requireVersion(reader: DerReader, field: string, expected: bigint): void {
  const { offset } = reader;
  const found = reader.integer(field);
  if (found === expected) return;
  throw new FormatError("cms.version", {
    what: `SignedData: ${field}`,
    offset,
    expected: `${expected}`,
    found: `${found}`,
  });
}

function requireOid(reader: DerReader, field: string, expected: string, code: string): void {
  const { offset } = reader;
  const found = reader.oid(field);
  if (found !== expected) throw new FormatError(code, { what: `ContentInfo: ${field}`, offset, expected, found });
}

function readSetOf<T>(reader: DerReader, field: string, limit: number, read: (set: DerReader) => T): T[] {
  const set = reader.set(field);
  const items: T[] = [];
  while (!set.done) {
    requireRoom(items.length, limit, field, set.offset);
    items.push(read(set));
  }
  return items;
}

function readSingle(reader: DerReader, field: string): DerValue {
  const value = reader.any(field);
  reader.end();
  return value;
}

function requireRoom(count: number, limit: number, what: string, offset: number): void {
  if (count < limit) return;
  throw new FormatError("cms.too-many", {
    what: `SignedData: ${what}`,
    offset,
    expected: `at most ${limit}`,
    found: "more",
  });
}
