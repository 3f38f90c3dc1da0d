/** Key types and signature algorithms (RFC 8017 appendix C, RFC 5480 §2.1.1, RFC 5758 §3.2). */
export const OID_RSA_ENCRYPTION = "1.2.840.113549.1.1.1";
export const OID_EC_PUBLIC_KEY = "1.2.840.10045.2.1";
export const OID_SHA256_WITH_RSA = "1.2.840.113549.1.1.11";
export const OID_ECDSA_WITH_SHA256 = "1.2.840.10045.4.3.2";

/** Hashes by the names that node:crypto and the rest of Sealwright use (RFC 5754 §2). */
export type HashName = "sha256" | "sha384" | "sha512";

export interface SignatureAlgorithm {
  readonly key: "rsa" | "ec";
  readonly hash: HashName;
}

/**
 * Algorithms that may sign a certificate. SHA-1 is left out: what it signs can be forged, although edk2 would still
 * follow such a chain.
 */
export const SIGNATURE_ALGORITHMS: Readonly<Record<string, SignatureAlgorithm>> = {
  [OID_SHA256_WITH_RSA]: { key: "rsa", hash: "sha256" },
  "1.2.840.113549.1.1.12": { key: "rsa", hash: "sha384" },
  "1.2.840.113549.1.1.13": { key: "rsa", hash: "sha512" },
  [OID_ECDSA_WITH_SHA256]: { key: "ec", hash: "sha256" },
  "1.2.840.10045.4.3.3": { key: "ec", hash: "sha384" },
  "1.2.840.10045.4.3.4": { key: "ec", hash: "sha512" },
};

/** RFC 5480 §2.1.1.1. */
export const CURVES: Readonly<Record<string, { readonly curve: string; readonly bits: number }>> = {
  "1.2.840.10045.3.1.7": { curve: "P-256", bits: 256 },
  "1.3.132.0.34": { curve: "P-384", bits: 384 },
  "1.3.132.0.35": { curve: "P-521", bits: 521 },
};

/** RFC 5280 §4.2.1. */
export const EXTENSION = {
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  basicConstraints: "2.5.29.19",
  nameConstraints: "2.5.29.30",
  authorityKeyIdentifier: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
} as const;

/** KeyUsage, by bit number (RFC 5280 §4.2.1.3). */
export const KEY_USAGE = { digitalSignature: 0, keyCertSign: 5, cRLSign: 6 } as const;

/** X.520 attribute types by their short names (RFC 4514 §3). */
export const ATTRIBUTE_NAMES: Readonly<Record<string, string>> = {
  "2.5.4.3": "CN",
  "2.5.4.5": "SERIALNUMBER",
  "2.5.4.6": "C",
  "2.5.4.7": "L",
  "2.5.4.8": "ST",
  "2.5.4.10": "O",
  "2.5.4.11": "OU",
  "1.2.840.113549.1.9.1": "emailAddress",
  "0.9.2342.19200300.100.1.25": "DC",
};

/** Largest RSA modulus taken. Safety limit, not a format rule: verifying takes time with its square. */
export const MAX_RSA_BITS = 8192;

/** Largest PEM file taken. Safety limit: a bundle of 300 certificates stays below it. */
export const MAX_PEM_SIZE = 1 << 20;
