/**
 * X.509 certificates: read, build, and chain, as far as Secure Boot keys need it.
 *
 *     Certificate ::= SEQUENCE {
 *       tbsCertificate SEQUENCE {                              <- signed
 *         version, serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo, extensions }
 *       signatureAlgorithm, signatureValue }
 *
 * Follows RFC 5280, and RFC 7468 for PEM. Key and signature types: RSA with PKCS#1 v1.5 and ECDSA on the NIST curves,
 * with SHA-256, SHA-384 and SHA-512. Certificates with other keys are read but verify nothing. Not supported: RSA-PSS,
 * revocation lists, name constraints, policies; a critical extension that is not known is listed as such.
 */
export { buildCertificate, type CertificateRequest } from "./build.ts";
export {
  type Certificate,
  type CertificateExtensions,
  isIssuedBy,
  isSameCertificate,
  isSelfSigned,
  parseCertificate,
  parseCertificates,
} from "./certificate.ts";
export { encodeDigestInfo, encodeEcdsaSignature, encodeEcPublicKey, encodeRsaPublicKey } from "./encode-key.ts";
export {
  type HashName,
  KEY_USAGE,
  OID_EC_PUBLIC_KEY,
  OID_ECDSA_WITH_SHA256,
  OID_RSA_ENCRYPTION,
  SIGNATURE_ALGORITHMS,
} from "./layout.ts";
export type { NameParts } from "./name.ts";
export { encodePem, type PemBlock, parsePem } from "./pem.ts";
export { isSignedWith, type KeyFacts, type PublicKey, parsePublicKey, showKey } from "./public-key.ts";
