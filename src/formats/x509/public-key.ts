import { createPublicKey, type KeyObject, verify } from "node:crypto";
import { FormatError } from "../../lib/errors.ts";
import { readOnly, TAG } from "../der/index.ts";
import { CURVES, type HashName, MAX_RSA_BITS, OID_EC_PUBLIC_KEY, OID_RSA_ENCRYPTION } from "./layout.ts";

/** What a SubjectPublicKeyInfo says about its key. */
export type KeyFacts =
  | { readonly kind: "rsa"; readonly bits: number; readonly exponent: bigint }
  | { readonly kind: "ec"; readonly bits: number; readonly curve: string }
  | { readonly kind: "other"; readonly algorithm: string };

/** A public key that nothing has been verified with yet. */
export interface PublicKey {
  readonly facts: KeyFacts;
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array;
  /** Content of the BIT STRING: what key identifiers are computed over (RFC 5280 §4.2.1.2). */
  readonly bits: Uint8Array;
}

/**
 * @throws {FormatError} `der.…`, `x509.key.rsa-size`, `x509.key.rsa-exponent`
 * @see RFC 5280 §4.1.2.7, RFC 3279 §2.3.1, RFC 5480 §2
 */
export function parsePublicKey(spki: Uint8Array): PublicKey {
  const what = "SubjectPublicKeyInfo";
  const reader = readOnly(spki, TAG.SEQUENCE, what);
  const algorithm = reader.sequence("algorithm");
  const oid = algorithm.oid("algorithm");
  const curveOid = oid === OID_EC_PUBLIC_KEY && algorithm.nextIs(TAG.OBJECT_IDENTIFIER) ? algorithm.oid("curve") : "";
  if (oid === OID_RSA_ENCRYPTION) {
    algorithm.null("parameters");
    algorithm.end();
  }
  const { bytes: bits } = reader.bitString("subjectPublicKey");
  reader.end();
  return { facts: keyFacts(oid, curveOid, bits), spki, bits };
}

function keyFacts(oid: string, curveOid: string, bits: Uint8Array): KeyFacts {
  if (oid === OID_RSA_ENCRYPTION) return rsaFacts(bits);
  const curve = CURVES[curveOid];
  return curve === undefined ? { kind: "other", algorithm: oid } : { kind: "ec", ...curve };
}

function rsaFacts(pkcs1: Uint8Array): KeyFacts {
  const key = readOnly(pkcs1, TAG.SEQUENCE, "RSAPublicKey");
  const modulus = key.integer("modulus");
  const exponent = key.integer("publicExponent");
  key.end();
  const bits = modulus <= 0n ? 0 : modulus.toString(2).length;
  if (bits < 512 || bits > MAX_RSA_BITS) {
    throw new FormatError("x509.key.rsa-size", {
      what: "RSAPublicKey: modulus",
      expected: `512 to ${MAX_RSA_BITS} bits`,
      found: `${bits}`,
    });
  }
  if (exponent < 3n || exponent >= 1n << 64n || exponent % 2n === 0n) {
    throw new FormatError("x509.key.rsa-exponent", {
      what: "RSAPublicKey: publicExponent",
      expected: "an odd number from 3 to 2^64",
      found: `a number of ${exponent.toString(2).length} bits`,
    });
  }
  return { kind: "rsa", bits, exponent };
}

/** `RSA-2048`, `P-256`, or the OID of an algorithm that Sealwright does not know. */
export function showKey(facts: KeyFacts): string {
  if (facts.kind === "other") return facts.algorithm;
  return facts.kind === "rsa" ? `RSA-${facts.bits}` : facts.curve;
}

/**
 * Whether `signature` over `message` was made with this key: RSASSA-PKCS1-v1_5, or ECDSA with r and s in DER.
 *
 * A key that Node cannot use (a point off its curve, an unknown type) has signed nothing.
 */
export function isSignedWith(key: PublicKey, hash: HashName, message: Uint8Array, signature: Uint8Array): boolean {
  if (key.facts.kind === "other") return false;
  const keyObject = loadKey(key.spki);
  if (keyObject === undefined) return false;
  try {
    return verify(hash, message, keyObject, signature);
  } catch {
    return false; // OpenSSL throws instead of answering for a signature that is not one of this key type
  }
}

function loadKey(spki: Uint8Array): KeyObject | undefined {
  try {
    return createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
  } catch {
    return undefined;
  }
}
