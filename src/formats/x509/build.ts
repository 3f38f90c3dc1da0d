import { createHash } from "node:crypto";
import { UnsupportedError } from "../../lib/errors.ts";
import { der } from "../der/index.ts";
import { type Certificate, parseCertificate } from "./certificate.ts";
import { EXTENSION, KEY_USAGE, OID_ECDSA_WITH_SHA256, OID_SHA256_WITH_RSA } from "./layout.ts";
import { encodeName, type NameParts } from "./name.ts";
import { parsePublicKey } from "./public-key.ts";

export interface CertificateRequest {
  readonly subject: NameParts;
  /** Positive; RFC 5280 §4.1.2.2 allows 20 bytes. */
  readonly serial: bigint;
  readonly notBefore: Date;
  /** Inclusive. */
  readonly notAfter: Date;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  /** `signature`: CA:FALSE, digitalSignature. `authority`: CA:TRUE, also keyCertSign and cRLSign. */
  readonly use: "signature" | "authority";
  /** Without one, the certificate is self-signed: `sign` holds its own key. */
  readonly issuer?: Certificate;
}

/**
 * Builds a version 3 certificate with the extensions that `openssl req -x509` gives one, in the same order, and has
 * it signed.
 *
 * @param sign RSASSA-PKCS1-v1_5 with SHA-256, or ECDSA with SHA-256 as DER, over the message
 * @throws {UnsupportedError} `x509.key.unsupported` for a signing key that is neither RSA nor a NIST curve
 * @throws {RangeError} when the serial number is not positive or longer than 20 bytes
 */
export async function buildCertificate(
  request: CertificateRequest,
  sign: (message: Uint8Array) => Promise<Uint8Array>,
): Promise<Certificate> {
  if (request.serial <= 0n || request.serial >= 1n << 159n) throw new RangeError("serial number is not in 1 to 2^159");
  const subjectKey = parsePublicKey(request.publicKey);
  const subject = encodeName(request.subject);
  const issuerKey = request.issuer?.publicKey ?? subjectKey;
  const algorithm = signatureAlgorithm(issuerKey.facts.kind);
  const tbs = der.sequence(
    der.context(0, der.integer(2)),
    der.integer(request.serial),
    algorithm,
    request.issuer?.subjectDer ?? subject,
    der.sequence(der.time(request.notBefore), der.time(request.notAfter)),
    subject,
    request.publicKey,
    der.context(3, encodeExtensions(request.use, keyIdentifier(subjectKey.bits), keyIdentifier(issuerKey.bits))),
  );
  return parseCertificate(der.sequence(tbs, algorithm, der.bitString(await sign(tbs))), "built certificate");
}

function signatureAlgorithm(kind: "rsa" | "ec" | "other"): Uint8Array {
  switch (kind) {
    case "rsa":
      return der.sequence(der.oid(OID_SHA256_WITH_RSA), der.nullValue());
    case "ec":
      return der.sequence(der.oid(OID_ECDSA_WITH_SHA256));
    case "other":
      throw new UnsupportedError("x509.key.unsupported", "a certificate can be signed with an RSA or NIST curve key");
    default:
      return kind satisfies never;
  }
}

/** RFC 5280 §4.2.1.2, method 1. SHA-1 names the key here; nothing depends on its strength. */
function keyIdentifier(bits: Uint8Array): Uint8Array {
  return createHash("sha1").update(bits).digest();
}

function encodeExtensions(use: CertificateRequest["use"], subjectKey: Uint8Array, issuerKey: Uint8Array): Uint8Array {
  const ca = use === "authority";
  const usage = ca
    ? [KEY_USAGE.digitalSignature, KEY_USAGE.keyCertSign, KEY_USAGE.cRLSign]
    : [KEY_USAGE.digitalSignature];
  return der.sequence(
    encodeExtension(EXTENSION.subjectKeyIdentifier, der.octetString(subjectKey)),
    encodeExtension(EXTENSION.authorityKeyIdentifier, der.sequence(der.implicit(0, issuerKey))),
    encodeExtension(EXTENSION.basicConstraints, der.sequence(...(ca ? [der.boolean(true)] : [])), true),
    encodeExtension(EXTENSION.keyUsage, encodeKeyUsage(usage), true),
  );
}

function encodeExtension(id: string, value: Uint8Array, critical = false): Uint8Array {
  return der.sequence(der.oid(id), ...(critical ? [der.boolean(true)] : []), der.octetString(value));
}

/** A named bit list ends with its last one bit (X.690 §11.2.2). */
function encodeKeyUsage(bits: readonly number[]): Uint8Array {
  const byte = bits.reduce((sum, bit) => sum | (0x80 >> bit), 0);
  return der.bitString(Uint8Array.of(byte), 7 - Math.max(...bits));
}
