import { createHash } from "node:crypto";
import { equalBytes, toHex } from "../../lib/bytes/numbers.ts";
import { VerificationError } from "../../lib/errors.ts";
import {
  ATTRIBUTE,
  encodeAttribute,
  encodeSignedData,
  parseSignedAttributes,
  verifySigner,
  wrapSignedData,
} from "../cms/index.ts";
import { DerReader, der, TAG } from "../der/index.ts";
import { appendCertificate, type Pe, parsePe, replaceCertificates } from "../pe/index.ts";
import { type Certificate, isSignedWith } from "../x509/index.ts";
import { computeAuthenticodeDigest } from "./digest.ts";
import { encodeIndirectData } from "./indirect-data.ts";
import { SPC_INDIRECT_DATA } from "./layout.ts";
import { parsePeSignature } from "./list.ts";
import { encodeTimestampAttribute } from "./timestamp.ts";

/** What to sign elsewhere, and what it is about. */
export interface PreparedSignature {
  /** Authenticode digest of the image, SHA-256. */
  readonly digest: Uint8Array;
  /** Sign this: the signed attributes, a DER SET. RSASSA-PKCS1-v1_5 or ECDSA, with SHA-256. */
  readonly message: Uint8Array;
}

/**
 * Computes what a signature over a PE image is made over: the bytes of
 * `systemd-sbsign sign --prepare-offline-signing`, with equal time byte for byte.
 *
 * @param signingTime goes into the signature, to the second; firmware does not look at it
 */
export function prepareSignature(file: Pe | Uint8Array, signingTime: Date): PreparedSignature {
  const digest = computeAuthenticodeDigest(file);
  const message = der.setOf(
    encodeAttribute(ATTRIBUTE.contentType, der.oid(SPC_INDIRECT_DATA)),
    encodeAttribute(ATTRIBUTE.messageDigest, der.octetString(computeMessageDigest(digest))),
    encodeAttribute(ATTRIBUTE.signingTime, der.time(signingTime)),
    // An empty list, as systemd-sbsign writes it.
    encodeAttribute(ATTRIBUTE.smimeCapabilities, der.sequence()),
  );
  return { digest, message };
}

/** SHA-256 of the content octets of SpcIndirectDataContent: PKCS #7 leaves its tag and length out (RFC 2315 §9.3). */
function computeMessageDigest(imageDigest: Uint8Array): Uint8Array {
  const content = new DerReader(encodeIndirectData(imageDigest), "SpcIndirectDataContent").any("value").content;
  return createHash("sha256").update(content).digest();
}

export interface ExternalSignature {
  readonly certificate: Certificate;
  /** The `message` of `prepareSignature()`. */
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
  /** Issuers of `certificate` to embed, for firmware that knows only the root. */
  readonly chain?: readonly Certificate[];
}

/**
 * Adds a signature that was made elsewhere to an image, behind those that it has.
 *
 * Checks first that the message is about this image and that the certificate's key signed it.
 *
 * @returns a new file: 8-byte aligned, CheckSum set
 * @throws {VerificationError} `authenticode.attach.other-image`, `authenticode.attach.signature`
 * @throws {FormatError} when `file` is not a PE file or `message` is not a set of signed attributes
 */
export function attachSignature(file: Pe | Uint8Array, parts: ExternalSignature): Uint8Array {
  const pe = file instanceof Uint8Array ? parsePe(file) : file;
  return embed(pe, computeAuthenticodeDigest(pe), parts);
}

function embed(pe: Pe, digest: Uint8Array, parts: SignatureParts): Uint8Array {
  return appendCertificate(pe, encodeSignature(digest, parts));
}

type SignatureParts = ExternalSignature & { readonly unsignedAttributes?: readonly Uint8Array[] };

/** PKCS #7 over an image with this digest, after a look at what is put into it. */
function encodeSignature(digest: Uint8Array, parts: SignatureParts): Uint8Array {
  const { certificate, message, signature, chain = [], unsignedAttributes = [] } = parts;
  const signed = parseSignedAttributes(message).values.get(ATTRIBUTE.messageDigest);
  const expected = computeMessageDigest(digest);
  if (signed?.tag !== TAG.OCTET_STRING || !equalBytes(signed.content, expected)) {
    throw otherImage(
      `signed message: found messageDigest ${toHex(signed?.content.subarray(0, 64) ?? new Uint8Array())}, ` +
        `expected ${toHex(expected)} for the image with digest ${toHex(digest)}`,
    );
  }
  if (!isSignedWith(certificate.publicKey, "sha256", message, signature)) throw notSigned(certificate);
  const data = encodeSignedData({
    contentType: SPC_INDIRECT_DATA,
    content: encodeIndirectData(digest),
    certificate,
    chain,
    signedAttributes: message,
    signature,
    unsignedAttributes,
  });
  return wrapSignedData(data);
}

function otherImage(message: string): VerificationError {
  return new VerificationError("authenticode.attach.other-image", message);
}

function notSigned({ subject }: Certificate): VerificationError {
  const message = `the signature over the message was not made by the key of "${subject}"`;
  return new VerificationError("authenticode.attach.signature", message);
}

export interface SignOptions {
  readonly signingTime: Date;
  readonly chain?: readonly Certificate[];
  /** Asks an authority for an RFC 3161 token over the signature. */
  readonly timestamp?: ((signature: Uint8Array) => Promise<Uint8Array>) | undefined;
}

/** The part of a signer that signing an image needs. */
export interface ImageSigner {
  readonly certificate: Certificate;
  sign(message: Uint8Array): Promise<Uint8Array>;
}

/**
 * Signs a PE image; signatures that it has stay. Byte for byte what `systemd-sbsign` 262 writes, except where the last
 * section ends at an unaligned end of file: there that tool hashes before it pads, and firmware refuses the result.
 */
export async function signPe(file: Pe | Uint8Array, signer: ImageSigner, options: SignOptions): Promise<Uint8Array> {
  const pe = file instanceof Uint8Array ? parsePe(file) : file;
  return appendCertificate(pe, await createSignature(pe, signer, options));
}

/**
 * Makes a signature that is kept beside the image: what `sbsign --detached` writes and `sbattach --attach` takes.
 *
 * @returns PKCS #7, DER
 */
export async function createSignature(
  file: Pe | Uint8Array,
  signer: ImageSigner,
  { chain = [], signingTime, timestamp }: SignOptions,
): Promise<Uint8Array> {
  const { digest, message } = prepareSignature(file, signingTime);
  const { certificate } = signer;
  const signature = await signer.sign(message);
  const token = await timestamp?.(signature);
  const unsignedAttributes = token === undefined ? [] : [encodeTimestampAttribute(token)];
  return encodeSignature(digest, { certificate, chain, message, signature, unsignedAttributes });
}

/**
 * Adds a whole signature that was made elsewhere, behind those that the image has, as it is.
 *
 * @param der PKCS #7, as `createSignature()`, `sbsign --detached` and `osslsigncode extract-signature` write it
 * @returns a new file, and the certificate whose key signed
 * @throws {VerificationError} `authenticode.attach.other-image`, `cms.…` when its own signature does not hold
 * @throws {FormatError} when `file` is no PE file, or `der` nothing that firmware would take
 */
export function attachDetachedSignature(
  file: Pe | Uint8Array,
  der: Uint8Array,
): { readonly file: Uint8Array; readonly signer: Certificate } {
  const pe = file instanceof Uint8Array ? parsePe(file) : file;
  const { content, data, der: stored, image } = parsePeSignature(der);
  const digest = computeAuthenticodeDigest(pe, image.algorithm);
  if (!equalBytes(image.digest, digest)) {
    throw otherImage(`detached signature: found digest ${toHex(image.digest)}, expected ${toHex(digest)} of the image`);
  }
  const signer = verifySigner(data, content);
  return { file: appendCertificate(pe, stored), signer };
}

/**
 * Takes every signature off.
 *
 * @returns a new file; the padding that signing added stays, so its digest does not change
 */
export function removeSignatures(file: Pe | Uint8Array): Uint8Array {
  return replaceCertificates(file instanceof Uint8Array ? parsePe(file) : file, []);
}
