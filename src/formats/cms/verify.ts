import { createHash } from "node:crypto";
import { equalBytes, toHex } from "../../lib/bytes/numbers.ts";
import { VerificationError } from "../../lib/errors.ts";
import { DerReader, TAG } from "../der/index.ts";
import {
  type Certificate,
  isIssuedBy,
  isSameCertificate,
  isSignedWith,
  OID_EC_PUBLIC_KEY,
  OID_RSA_ENCRYPTION,
  SIGNATURE_ALGORITHMS,
} from "../x509/index.ts";
import { ATTRIBUTE } from "./layout.ts";
import type { SignedAttributes, SignedData, SignerInfo } from "./read.ts";

/**
 * Verifies that the embedded signer certificate's key signed this content. Says nothing about trust in it.
 *
 * @param content what is signed: the content octets, without tag and length
 * @returns the signer's certificate
 * @throws {VerificationError} `cms.signer.absent` when the signer's certificate is not embedded,
 *   `cms.content.digest-mismatch`, `cms.attributes.incomplete`, `cms.signature.invalid`
 * @see RFC 5652 §5.4, §5.6
 */
export function verifySigner(data: SignedData, content: Uint8Array): Certificate {
  const { signer } = data;
  const certificate = data.certificates.find((one) => isIdentifiedBy(one, signer));
  if (certificate === undefined) {
    throw new VerificationError("cms.signer.absent", "the signer's certificate is not embedded in the signature", {
      data: { serial: toHex(signer.serialDer) },
    });
  }
  if (!data.digestAlgorithms.includes(signer.digestAlgorithm)) {
    const listed = data.digestAlgorithms.join(", ");
    throw new VerificationError(
      "cms.signature.invalid",
      `the signer uses ${signer.digestAlgorithm}, the signature announces ${listed || "no digest algorithm"}`,
    );
  }
  const signed = signer.signedAttributes;
  if (signed !== undefined) verifyAttributes(signed, data.contentType, signer, content);
  if (
    !isAlgorithmOf(signer, certificate) ||
    !isSignedWith(certificate.publicKey, signer.digestAlgorithm, signed?.der ?? content, signer.signature)
  ) {
    throw new VerificationError("cms.signature.invalid", `the signature was not made by "${certificate.subject}"`);
  }
  return certificate;
}

function isIdentifiedBy(certificate: Certificate, signer: SignerInfo): boolean {
  return equalBytes(certificate.issuerDer, signer.issuerDer) && equalBytes(certificate.serialDer, signer.serialDer);
}

/** RFC 5652 §5.3: contentType and messageDigest must both be there, and be of this content. */
function verifyAttributes(
  { values }: SignedAttributes,
  contentType: string,
  { digestAlgorithm }: SignerInfo,
  content: Uint8Array,
): void {
  const type = values.get(ATTRIBUTE.contentType);
  const digest = values.get(ATTRIBUTE.messageDigest);
  if (type === undefined || digest === undefined) {
    const missing = type === undefined ? "contentType" : "messageDigest";
    throw new VerificationError("cms.attributes.incomplete", `signed attributes lack ${missing}`);
  }
  const computed = createHash(digestAlgorithm).update(content).digest();
  if (digest.tag !== TAG.OCTET_STRING || !equalBytes(digest.content, computed)) {
    throw new VerificationError(
      "cms.content.digest-mismatch",
      `messageDigest: found ${toHex(digest.content.subarray(0, 64))}, expected ${toHex(computed)}`,
    );
  }
  const signedType = new DerReader(type.raw, "contentType").oid("value");
  if (signedType !== contentType) {
    throw new VerificationError(
      "cms.content.digest-mismatch",
      `signed contentType: found ${signedType}, expected ${contentType}`,
    );
  }
}

/** Whether the algorithm named in the signature fits the key and the digest. */
function isAlgorithmOf({ signatureAlgorithm, digestAlgorithm }: SignerInfo, { publicKey }: Certificate): boolean {
  const { kind } = publicKey.facts;
  if (signatureAlgorithm === OID_RSA_ENCRYPTION) return kind === "rsa";
  if (signatureAlgorithm === OID_EC_PUBLIC_KEY) return kind === "ec";
  const algorithm = SIGNATURE_ALGORITHMS[signatureAlgorithm];
  return algorithm?.key === kind && algorithm.hash === digestAlgorithm;
}

/**
 * Finds the way from a signer to a trusted certificate by the rules of edk2's Pkcs7Verify: the trusted certificate may be the signer,
 * a root, or anything between; intermediates come from the signature; validity times, extended key usage and the
 * signer's key usage do not count. A certificate with a critical extension that is not understood breaks the chain.
 *
 * @returns signer first, trusted certificate last; `undefined` when there is no way
 */
export function findChain(
  signer: Certificate,
  embedded: readonly Certificate[],
  trusted: readonly Certificate[],
): Certificate[] | undefined {
  // Breadth first and each certificate once: cross-signed authorities cannot hide a way, loops end.
  const chains = [[signer]];
  const seen = new Set([signer]);
  for (const chain of chains) {
    const last = chain.at(-1) ?? signer;
    if (last.extensions.unknownCritical.length > 0) continue;
    if (trusted.some((one) => isSameCertificate(one, last))) return chain;
    if (chain.length > MAX_CHAIN) continue;
    for (const issuer of [...trusted, ...embedded]) {
      if (seen.has(issuer) || !isWithinPathLength(issuer, chain.length - 1) || !isIssuedBy(last, issuer)) continue;
      seen.add(issuer);
      chains.push([...chain, issuer]);
    }
  }
  return undefined;
}

/** Intermediate certificates in a chain. Safety limit, not a format rule: Secure Boot chains have one or two. */
const MAX_CHAIN = 8;

/** @param intermediates how many authorities stand between `issuer` and the signer */
function isWithinPathLength({ extensions: { pathLength } }: Certificate, intermediates: number): boolean {
  return pathLength === undefined || intermediates <= pathLength;
}
