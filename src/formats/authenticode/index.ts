/**
 * Authenticode: signatures in PE images, as Secure Boot checks them.
 *
 *     certificate table entry
 *       ContentInfo signedData
 *         SpcIndirectDataContent { SPC_PE_IMAGE_DATA, digest of the image }   <- content octets are hashed
 *         certificates
 *         SignerInfo { signed attributes: contentType, messageDigest, signingTime, …; signature over them }
 *
 * Follows Microsoft's "Windows Authenticode Portable Executable Signature Format" (2008) and, where it leaves room,
 * what edk2 2026.08 accepts. Signs with SHA-256; verifies SHA-256, SHA-384 and SHA-512. Not supported: page hashes,
 * timestamps (ignored: firmware has no trusted clock), SHA-1, nested signatures.
 */
export { authenticodeRanges, computeAuthenticodeDigest } from "./digest.ts";
export { encodeIndirectData, type IndirectData, parseIndirectData } from "./indirect-data.ts";
export { listSignatures, type PeSignature, type UnreadableSignature } from "./list.ts";
export {
  attachSignature,
  type ExternalSignature,
  type ImageSigner,
  type PreparedSignature,
  prepareSignature,
  removeSignatures,
  type SignOptions,
  signPe,
} from "./sign.ts";
export { type FirmwarePolicy, type PeEvidence, verifyPe } from "./verify.ts";
