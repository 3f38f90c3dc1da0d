/** Seals an image: signed boot loader, signed UKI with the digest of the tree, one layer on top. */
import { signPe } from "../../formats/authenticode/index.ts";
import { encodePem } from "../../formats/x509/index.ts";
import { UsageError } from "../../lib/errors.ts";
import { type Progress, silent } from "../../lib/progress.ts";
import { storeFile } from "../../model/host-io/files.ts";
import type { Image } from "../../model/image/image.ts";
import { type ImageWriter, type NewManifest, openImageWriter } from "../../model/image/image-writer.ts";
import { openImage } from "../../model/image/open-image.ts";
import type { Signer } from "../../model/signing/signer.ts";
import { openPcrKey, type PcrKey } from "../uki/pcr-keys.ts";
import { parseDigestFormats } from "./digest-formats.ts";
import { openSealSigner, type SealSigner, type SealSignerOptions } from "./open-signer.ts";
import {
  isSignedFor,
  openSealInput,
  type PlanOptions,
  planSeal,
  signingTimes,
  type UnsignedPe,
  unsignedLoader,
} from "./plan.ts";
import type { SealReport } from "./report.ts";
import { type WrittenSeal, writeSigned } from "./write.ts";

export type { WrittenSeal } from "./write.ts";

export interface SealOptions extends SealSignerOptions, Omit<PlanOptions, "pcr"> {
  /** Key of the PCR policies, in the notation of `openSigner`. */
  readonly pcrKey?: string | undefined;
  /** Its public key, PEM. Default: taken from the private key. */
  readonly pcrPublicKeyPath?: string | undefined;
  /** `HOST/NAME[:TAG]` in a registry, `oci:DIR[:TAG]` or `oci-archive:FILE[:TAG]`. */
  readonly to: string;
  /** Replace an archive that is there already. */
  readonly overwrite?: boolean;
  /** Where to write the signing certificate, PEM. */
  readonly writeCertificateTo?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly progress?: Progress | undefined;
  /** Called with each sealed image, and with the index of several, when it is written and before it is shown. */
  readonly beforeShown?: ((sealed: SealedManifest) => Promise<void>) | undefined;
}

/** What can still be said about a sealed image, to be shown together with it. */
export interface SealedManifest extends SealTools {
  readonly manifest: NewManifest;
  /** Of an image; an index has none. */
  readonly report?: SealReport;
}

/**
 * Reads an image, seals it and writes it under another name; the lower layers keep their bytes. What was written is
 * read again, and the digest recomputed from it, before it gets that name.
 *
 * @throws {PolicyError} when the image cannot be sealed: the codes of `checkOs`, `uki.cmdline.digest-given`
 * @throws {VerificationError} `layer.*` when the image is not what it says; `seal.digest-differs` when what was written
 *   does not give the digest in its UKI
 * @throws whatever opening the image, the signer and the writer throw
 */
export async function sealImage(reference: string, options: SealOptions): Promise<SealReport> {
  const { overwrite = false, platform, registries, signal, to } = options;
  parseDigestFormats(options.digestFormats);
  await using signer = await openSealSigner(options);
  await using writer = await openImageWriter(to, { overwrite, registries, ...(signal && { signal }) });
  const image = await openImage(reference, { registries, ...(platform && { platform }), ...(signal && { signal }) });
  const { manifest, report } = await writeSealed(image, { signer, writer }, options);
  await options.beforeShown?.({ manifest, report, signer, writer });
  await writer.commit(manifest);
  await storeSigningCertificate(signer, options);
  return report;
}

/** What one seal needs that several can share: those of the platforms of an index. */
export interface SealTools {
  readonly signer: SealSigner;
  readonly writer: ImageWriter;
}

/**
 * Seals an open image into a writer, up to the moment before it is shown. Closes the image.
 *
 * @throws as `sealImage`
 */
export async function writeSealed(
  image: Image,
  { signer, writer }: SealTools,
  options: SealOptions,
): Promise<WrittenSeal> {
  const { certificate } = signer;
  await using input = await openSealInput(image, options);
  const sign = async ({ bytes, role }: UnsignedPe) => {
    let pe = bytes;
    for (const each of [signer, ...signer.beside]) {
      // A signature of the same key from an earlier seal is kept.
      if (isSignedFor(pe, each.certificate)) continue;
      pe = await signPe(pe, each, { signingTime: signingTimes(each.certificate, options)[role] });
    }
    return pe;
  };

  const unsigned = unsignedLoader(input.parts);
  await using pcr = await openSealPcrKey(options);
  const plan = await planSeal(input, await sign(unsigned), { ...options, pcr });
  (options.progress ?? silent)({ step: "seal.sign", text: "signing the UKI" });
  const signed = new Map<string, Uint8Array>();
  for (const each of plan.unsigned) signed.set(each.path, await sign(each));
  const loaderSignedBefore = plan.loader === unsigned.bytes;
  const ephemeral = options.ephemeralKeys ?? false;
  return await writeSigned(
    input,
    { plan, signed, certificate, beside: signer.beside.map((each) => each.certificate), ephemeral, loaderSignedBefore },
    writer,
    options.to,
    options,
  );
}

/** @throws {UsageError} `seal.pcr-key-missing` for a public key alone, which signs nothing; as `openPcrKey` */
async function openSealPcrKey(options: SealOptions): Promise<PcrKey | undefined> {
  const { passphrasePath: _, pcrKey: key, pcrPublicKeyPath: publicKeyPath, ...context } = options;
  if (key !== undefined) return await openPcrKey({ ...context, key, ...(publicKeyPath && { publicKeyPath }) });
  if (publicKeyPath === undefined) return undefined;
  throw new UsageError("seal.pcr-key-missing", "a public key signs no PCR policies: expected --pcr-key as well");
}

/** Where `--write-cert` says. */
export async function storeSigningCertificate(
  { certificate }: Signer,
  { writeCertificateTo }: SealOptions,
): Promise<void> {
  if (writeCertificateTo === undefined) return;
  await storeFile(writeCertificateTo, Buffer.from(encodePem("CERTIFICATE", certificate.der)), { overwrite: true });
}
