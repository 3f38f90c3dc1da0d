/** Signatures that are made, kept and attached apart from their PE file. */
import {
  attachDetachedSignature,
  computeAuthenticodeDigest,
  createSignature,
  removeSignatures,
} from "../../formats/authenticode/index.ts";
import { unwrapCertificate } from "../../formats/pe/index.ts";
import { isSameCertificate, parsePem } from "../../formats/x509/index.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { UsageError, VerificationError } from "../../lib/errors.ts";
import { loadFile, storeFile } from "../../model/host-io/files.ts";
import { loadCertificates } from "../../model/signing/index.ts";
import { openSigners, type SigningOptions, signOptions } from "./open-signers.ts";
import { loadPe, type OutputOptions, type SignedFileReport, storePe } from "./pe-file.ts";

export interface DetachedReport {
  readonly output: string;
  readonly authenticodeDigest: string;
  readonly signers: readonly string[];
}

/**
 * Signs a PE file and writes the signature alone: PKCS #7, DER. The file stays as it is.
 *
 * @throws {UsageError} `sign.detached-count` unless there is one key; as `signFile`
 */
export async function signDetached(
  path: string,
  output: string,
  options: SigningOptions & Pick<OutputOptions, "overwrite">,
): Promise<DetachedReport> {
  if (options.keys.length > 1) {
    throw new UsageError("sign.detached-count", `${options.keys.length} keys: a detached signature is by one`);
  }
  const pe = await loadPe(path);
  await using signers = await openSigners(options);
  const [signer] = signers.all;
  if (signer === undefined) throw new TypeError("no signer was opened");
  const signature = await createSignature(pe, signer, signOptions(signer, options));
  await storeFile(output, signature, { overwrite: options.overwrite === true });
  const { subject } = signer.certificate;
  return { output, authenticodeDigest: toHex(computeAuthenticodeDigest(pe)), signers: [subject] };
}

export interface AttachOptions extends OutputOptions {
  /** Files with one signature each, PKCS #7 in DER or PEM; attached in this order. */
  readonly signaturePaths: readonly string[];
  /** Who may have signed. Default: anybody, since a signature proves only who made it. */
  readonly certificatePaths?: readonly string[];
  readonly replaceSignatures?: boolean;
}

/** Safety limit: firmware takes 64 KiB of DER. */
const MAX_SIGNATURE_FILE_SIZE = 256 * 1024;

/**
 * Adds signatures that were made elsewhere to a PE file. Each must be about this very file and hold.
 *
 * @throws {VerificationError} `authenticode.attach.other-image`, `sign.attach.other-signer`, `cms.…`
 * @throws {FormatError} `authenticode.…`, `cms.…`, `der.…`
 */
export async function attachSignatures(
  path: string,
  options: AttachOptions,
): Promise<SignedFileReport & { signers: string[] }> {
  const allowed = await loadCertificates(options.certificatePaths ?? []);
  const input = await loadPe(path);
  let pe = options.replaceSignatures === true ? removeSignatures(input) : input;
  const signers: string[] = [];
  for (const signaturePath of options.signaturePaths) {
    const { file, signer } = attachDetachedSignature(pe, await loadSignature(signaturePath));
    if (allowed.length > 0 && !allowed.some((one) => isSameCertificate(one, signer))) {
      const message = `${signaturePath}: signed by "${signer.subject}", which is none of the certificates given`;
      throw new VerificationError("sign.attach.other-signer", message);
    }
    pe = file;
    signers.push(signer.subject);
  }
  return { ...(await storePe(path, pe, options)), signers };
}

/** Takes every signature off a PE file. */
export async function removeFileSignatures(path: string, options: OutputOptions): Promise<SignedFileReport> {
  const { output = `${path}.unsigned` } = options;
  return await storePe(path, removeSignatures(await loadPe(path)), { ...options, output });
}

async function loadSignature(path: string): Promise<Uint8Array> {
  const what = `signature ${path}`;
  const bytes = await loadFile(path, what, MAX_SIGNATURE_FILE_SIZE, "sign.signature-too-large");
  const block = parsePem(bytes, what).find(({ label }) => label === "PKCS7" || label === "CMS");
  return block?.bytes ?? unwrapCertificate(bytes);
}
