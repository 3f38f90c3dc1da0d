import { createHash } from "node:crypto";
import { equalBytes, toHex } from "../../lib/bytes/numbers.ts";
import { FormatError } from "../../lib/errors.ts";
import { contextTag, type DerReader, readOnly, TAG } from "../der/index.ts";
import { EXTENSION, KEY_USAGE, SIGNATURE_ALGORITHMS } from "./layout.ts";
import { readName } from "./name.ts";
import { parsePem } from "./pem.ts";
import { isSignedWith, type PublicKey, parsePublicKey } from "./public-key.ts";

/** An X.509 certificate; nothing in it has been verified. Byte fields are views into `der`. */
export interface Certificate {
  readonly der: Uint8Array;
  readonly version: 1 | 2 | 3;
  /** TBSCertificate: what the issuer signed. */
  readonly tbs: Uint8Array;
  /** The whole INTEGER as it stands: CMS points to a certificate by issuer and serial. */
  readonly serialDer: Uint8Array;
  readonly issuerDer: Uint8Array;
  readonly subjectDer: Uint8Array;
  /** RFC 4514 text, for people. */
  readonly issuer: string;
  readonly subject: string;
  /** Content octets of the serial number in lower-case hex. */
  readonly serial: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly publicKey: PublicKey;
  readonly extensions: CertificateExtensions;
  /** OID; `SIGNATURE_ALGORITHMS` has those that are verified. */
  readonly signatureAlgorithm: string;
  readonly signature: Uint8Array;
  /** SHA-256 of `der`. */
  readonly fingerprint: Uint8Array;
}

export interface CertificateExtensions {
  /** BasicConstraints cA. */
  readonly ca: boolean;
  /** BasicConstraints pathLenConstraint. */
  readonly pathLength: number | undefined;
  /** KeyUsage bit numbers; absent when the certificate does not limit its key. */
  readonly keyUsage: ReadonlySet<number> | undefined;
  readonly subjectKeyIdentifier: Uint8Array | undefined;
  /** Extensions that limit the certificate in a way not read here: critical ones, and name constraints always. */
  readonly unknownCritical: readonly string[];
}

/**
 * Reads one certificate, DER or PEM.
 *
 * @throws {FormatError} `x509.pem.count` when a PEM file does not hold exactly one, `pem.…`, `der.…`, `x509.…`
 * @see RFC 5280 §4.1
 */
export function parseCertificate(bytes: Uint8Array, what = "certificate"): Certificate {
  const [certificate, ...more] = parseCertificates(bytes, what);
  if (certificate !== undefined && more.length === 0) return certificate;
  throw new FormatError("x509.pem.count", {
    what,
    expected: "one certificate, in DER or PEM",
    found: certificate === undefined ? "none" : String(more.length + 1),
  });
}

/** Reads one DER certificate, or every `CERTIFICATE` block of a PEM file, in its order. */
export function parseCertificates(bytes: Uint8Array, what = "certificate"): Certificate[] {
  if (bytes[0] === TAG.SEQUENCE) return [parseCertificateDer(bytes, what)];
  const blocks = parsePem(bytes, what).filter(({ label }) => label === "CERTIFICATE");
  return blocks.map((block) => parseCertificateDer(block.bytes, what));
}

function parseCertificateDer(bytes: Uint8Array, what: string): Certificate {
  const outer = readOnly(bytes, TAG.SEQUENCE, what);
  const tbsValue = outer.value(TAG.SEQUENCE, "tbsCertificate");
  const algorithm = outer.value(TAG.SEQUENCE, "signatureAlgorithm");
  const signature = outer.bitString("signatureValue").bytes;
  outer.end();

  const tbs = outer.into(tbsValue, "tbsCertificate");
  const version = readVersion(tbs);
  const serial = tbs.value(TAG.INTEGER, "serialNumber");
  const innerAlgorithm = tbs.value(TAG.SEQUENCE, "signature");
  if (!equalBytes(innerAlgorithm.raw, algorithm.raw)) {
    throw new FormatError("x509.signature-algorithm.mismatch", {
      what: `${what}: tbsCertificate: signature`,
      offset: innerAlgorithm.offset,
      expected: toHex(algorithm.raw.subarray(0, 32)),
      found: toHex(innerAlgorithm.raw.subarray(0, 32)),
    });
  }
  const issuer = tbs.value(TAG.SEQUENCE, "issuer");
  const validity = tbs.sequence("validity");
  const notBefore = validity.time("notBefore");
  const notAfter = validity.time("notAfter");
  validity.end();
  const subject = tbs.value(TAG.SEQUENCE, "subject");
  const spki = tbs.value(TAG.SEQUENCE, "subjectPublicKeyInfo");
  for (const number of [1, 2]) if (tbs.nextIs(contextTag(number, "primitive"))) tbs.any("uniqueIdentifier");
  const extensions = version === 3 && !tbs.done ? readExtensions(tbs.context(3, "extensions")) : noExtensions;
  tbs.end();

  return {
    der: bytes,
    version,
    tbs: tbsValue.raw,
    serialDer: serial.raw,
    issuerDer: issuer.raw,
    subjectDer: subject.raw,
    issuer: readName(tbs.into(issuer, "issuer")),
    subject: readName(tbs.into(subject, "subject")),
    serial: toHex(serial.content),
    notBefore,
    notAfter,
    publicKey: parsePublicKey(spki.raw),
    extensions,
    signatureAlgorithm: outer.into(algorithm, "signatureAlgorithm").oid("algorithm"),
    signature,
    fingerprint: createHash("sha256").update(bytes).digest(),
  };
}

const VERSIONS: ReadonlyMap<bigint, 1 | 2 | 3> = new Map([
  [0n, 1],
  [1n, 2],
  [2n, 3],
]);

function readVersion(tbs: DerReader): 1 | 2 | 3 {
  if (!tbs.nextIs(contextTag(0))) return 1;
  const { offset } = tbs;
  const explicit = tbs.context(0, "version");
  const stored = explicit.integer("version");
  explicit.end();
  const version = VERSIONS.get(stored);
  if (version !== undefined) return version;
  throw new FormatError("x509.version", {
    what: "certificate: version",
    offset,
    expected: "0 to 2",
    found: `${stored}`,
  });
}

const noExtensions: CertificateExtensions = {
  ca: false,
  pathLength: undefined,
  keyUsage: undefined,
  subjectKeyIdentifier: undefined,
  unknownCritical: [],
};

function readExtensions(wrapper: DerReader): CertificateExtensions {
  const list = wrapper.sequence("Extensions");
  wrapper.end();
  const seen = new Set<string>();
  const unknownCritical: string[] = [];
  let found = noExtensions;
  while (!list.done) {
    const { offset } = list;
    const extension = list.sequence("Extension");
    const id = extension.oid("extnID");
    if (seen.has(id)) {
      throw new FormatError("x509.extension.repeated", {
        what: "certificate: extension",
        offset,
        expected: "each extension once",
        found: `${id} again`,
      });
    }
    seen.add(id);
    const critical = extension.nextIs(TAG.BOOLEAN) && extension.boolean("critical");
    const value = extension.value(TAG.OCTET_STRING, "extnValue");
    extension.end();
    const known = readExtension(id, extension.into(value, "extnValue"));
    if (known === undefined && (critical || id === EXTENSION.nameConstraints)) unknownCritical.push(id);
    found = { ...found, ...known };
  }
  return { ...found, unknownCritical };
}

/** The extensions that decide about signing; extendedKeyUsage is known to be ignored by firmware. */
function readExtension(id: string, value: DerReader): Partial<CertificateExtensions> | undefined {
  switch (id) {
    case EXTENSION.basicConstraints: {
      const constraints = value.sequence("BasicConstraints");
      const ca = constraints.nextIs(TAG.BOOLEAN) && constraints.boolean("cA");
      const stored = constraints.done ? undefined : constraints.integer("pathLenConstraint");
      constraints.end();
      value.end();
      return { ca, pathLength: stored === undefined ? undefined : Number(stored) };
    }
    case EXTENSION.keyUsage: {
      const { bytes } = value.bitString("KeyUsage");
      value.end();
      const bits = [...bytes].flatMap((byte, i) => [0, 1, 2, 3, 4, 5, 6, 7].flatMap((bit) => usageBit(byte, i, bit)));
      return { keyUsage: new Set(bits) };
    }
    case EXTENSION.subjectKeyIdentifier: {
      const subjectKeyIdentifier = value.octetString("SubjectKeyIdentifier");
      value.end();
      return { subjectKeyIdentifier };
    }
    case EXTENSION.authorityKeyIdentifier:
    case EXTENSION.extendedKeyUsage:
      return {};
    default:
      return undefined;
  }
}

/** Bit 0 of a BIT STRING is the highest bit of its first byte. */
function usageBit(byte: number, index: number, bit: number): number[] {
  return (byte & (0x80 >> bit)) === 0 ? [] : [index * 8 + bit];
}

/** Whether two certificates are the same bytes. */
export function isSameCertificate(a: Certificate, b: Certificate): boolean {
  return equalBytes(a.der, b.der);
}

/**
 * Whether `issuer` signed `certificate` and is allowed to sign certificates: matching names, cA, keyCertSign where
 * key usage is limited, and a good signature. Validity times are not looked at: firmware has no trusted clock.
 *
 * A version 1 certificate that signed itself counts as an authority, as it does in OpenSSL and so in edk2.
 */
export function isIssuedBy(certificate: Certificate, issuer: Certificate): boolean {
  if (!equalBytes(certificate.issuerDer, issuer.subjectDer)) return false;
  const { ca, keyUsage } = issuer.extensions;
  const isRoot = issuer.version === 1 && equalBytes(issuer.issuerDer, issuer.subjectDer);
  if (!ca && !isRoot) return false;
  if (keyUsage !== undefined && !keyUsage.has(KEY_USAGE.keyCertSign)) return false;
  return isSignatureBy(certificate, issuer.publicKey);
}

/** Whether a certificate carries a good signature of its own key. */
export function isSelfSigned(certificate: Certificate): boolean {
  return equalBytes(certificate.issuerDer, certificate.subjectDer) && isSignatureBy(certificate, certificate.publicKey);
}

function isSignatureBy(certificate: Certificate, key: PublicKey): boolean {
  const algorithm = SIGNATURE_ALGORITHMS[certificate.signatureAlgorithm];
  if (algorithm === undefined || algorithm.key !== key.facts.kind) return false;
  return isSignedWith(key, algorithm.hash, certificate.tbs, certificate.signature);
}
