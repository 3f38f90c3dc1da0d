/**
 * CMS SignedData: one signature over a content, with the certificates to check it.
 *
 *     ContentInfo { signedData, [0] }        left out in authenticated variables
 *       SignedData
 *         version 1
 *         digestAlgorithms
 *         encapContentInfo { eContentType, [0] eContent }      eContent left out when detached
 *         [0] certificates
 *         signerInfos { one: issuerAndSerialNumber, digestAlgorithm, [0] signedAttrs,
 *                            signatureAlgorithm, signature, [1] unsignedAttrs }
 *
 * Follows RFC 5652 in the part it shares with PKCS #7 (RFC 2315), which is what firmware reads: version 1, signer
 * named by issuer and serial number, exactly one signer. Written with SHA-256; read with SHA-256, SHA-384, SHA-512.
 * Not supported: several signers, subject key identifiers, RSA-PSS, revocation lists. Unsigned attributes are handed out unread.
 */
export { ATTRIBUTE, DIGEST_ALGORITHMS, OID_DATA, OID_SIGNED_DATA } from "./layout.ts";
export {
  parseSignedAttributes,
  parseSignedData,
  type SignedAttributes,
  type SignedData,
  type SignerInfo,
} from "./read.ts";
export { findChain, verifySigner } from "./verify.ts";
export {
  encodeAttribute,
  encodeSignedData,
  type SignedDataParts,
  sha256Algorithm,
  signDetached,
  wrapSignedData,
} from "./write.ts";
