/** What hardware and services give in pieces, as DER. */
import { FormatError } from "../../lib/errors.ts";
import { der } from "../der/index.ts";
import { OID_EC_PUBLIC_KEY, OID_RSA_ENCRYPTION } from "./layout.ts";

const OID_SHA256 = "2.16.840.1.101.3.4.2.1";

/**
 * SubjectPublicKeyInfo of an RSA key (RFC 8017 appendix A.1.1).
 *
 * @param modulus big-endian, leading zeros or none
 * @param exponent as `modulus`
 */
export function encodeRsaPublicKey(modulus: Uint8Array, exponent: Uint8Array): Uint8Array {
  const key = der.sequence(der.integer(toNumber(modulus)), der.integer(toNumber(exponent)));
  return der.sequence(der.sequence(der.oid(OID_RSA_ENCRYPTION), der.nullValue()), der.bitString(key));
}

/**
 * SubjectPublicKeyInfo of an elliptic curve key (RFC 5480 §2).
 *
 * @param parameters ECParameters, DER: the OID of a named curve
 * @param point uncompressed, with its leading 4
 */
export function encodeEcPublicKey(parameters: Uint8Array, point: Uint8Array): Uint8Array {
  return der.sequence(der.sequence(der.oid(OID_EC_PUBLIC_KEY), parameters), der.bitString(point));
}

/** DigestInfo of a SHA-256 digest: what RSASSA-PKCS1-v1_5 pads (RFC 8017 §9.2, step 2). */
export function encodeDigestInfo(digest: Uint8Array): Uint8Array {
  return der.sequence(der.sequence(der.oid(OID_SHA256), der.nullValue()), der.octetString(digest));
}

/**
 * ECDSA-Sig-Value (RFC 3279 §2.2.3) of r and s of equal length, one behind the other, as PKCS #11 and JOSE have them.
 *
 * @throws {FormatError} `x509.ecdsa-signature` for an odd number of bytes, or none
 */
export function encodeEcdsaSignature(raw: Uint8Array): Uint8Array {
  const size = raw.length / 2;
  if (!Number.isInteger(size) || size === 0) {
    const found = `${raw.length} bytes`;
    throw new FormatError("x509.ecdsa-signature", { what: "ECDSA signature", expected: "r and s", found });
  }
  return der.sequence(der.integer(toNumber(raw.subarray(0, size))), der.integer(toNumber(raw.subarray(size))));
}

function toNumber(bigEndian: Uint8Array): bigint {
  return BigInt(`0x0${Buffer.from(bigEndian).toString("hex")}`);
}
