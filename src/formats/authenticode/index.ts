/**
 * Authenticode: signatures in PE images, as Secure Boot checks them.
 *
 *     certificate table entry
 *       ContentInfo signedData
 *         SpcIndirectDataContent { SPC_PE_IMAGE_DATA, digest of the image }   <- content octets are hashed
 *         certificates
 *         SignerInfo { signed attributes: contentType, messageDigest, signingTime, …; signature over them;
 *                      unsigned attribute: RFC 3161 timestamp over the signature, optional }
 *
 * Follows Microsoft's "Windows Authenticode Portable Executable Signature Format" (2008) and, where it leaves room,
 * what edk2 2026.08 accepts. Signs with SHA-256; verifies SHA-256, SHA-384 and SHA-512. Timestamps are shown and change
 * no verdict: firmware has no trusted clock. Not supported: page hashes, SHA-1, nested signatures.
 */
export { authenticodeRanges, computeAuthenticodeDigest } from "./digest.ts";
export { encodeIndirectData, type IndirectData, parseIndirectData } from "./indirect-data.ts";
export { listSignatures, type PeSignature, parsePeSignature, type UnreadableSignature } from "./list.ts";
export {
  attachDetachedSignature,
  attachSignature,
  createSignature,
  type ExternalSignature,
  type ImageSigner,
  type PreparedSignature,
  prepareSignature,
  removeSignatures,
  type SignOptions,
  signPe,
} from "./sign.ts";
export { verifySignatureTimestamp } from "./timestamp.ts";
export { type FirmwarePolicy, type PeEvidence, verifyPe } from "./verify.ts";
