import type { HashName } from "../x509/index.ts";

/** RFC 5652 §4, §5.1, §11; RFC 2985 for the attribute types. */
export const OID_DATA = "1.2.840.113549.1.7.1";
export const OID_SIGNED_DATA = "1.2.840.113549.1.7.2";
export const ATTRIBUTE = {
  contentType: "1.2.840.113549.1.9.3",
  messageDigest: "1.2.840.113549.1.9.4",
  signingTime: "1.2.840.113549.1.9.5",
  smimeCapabilities: "1.2.840.113549.1.9.15",
} as const;

/** RFC 5754 §2. SHA-1 is left out: no signature over it proves anything today. */
export const DIGEST_ALGORITHMS: Readonly<Record<string, HashName>> = {
  "2.16.840.1.101.3.4.2.1": "sha256",
  "2.16.840.1.101.3.4.2.2": "sha384",
  "2.16.840.1.101.3.4.2.3": "sha512",
};
export const OID_SHA256 = "2.16.840.1.101.3.4.2.1";

/** Certificates, attributes and digest algorithms in one message. Safety limits: finding a chain may try every pair. */
export const MAX_CERTIFICATES = 16;
export const MAX_ATTRIBUTES = 64;
export const MAX_DIGEST_ALGORITHMS = 8;
