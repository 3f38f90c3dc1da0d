/** Seals an image: signed boot loader, signed UKI with the digest of the tree, one layer on top. */
import { computeAuthenticodeDigest, signPe, verifyPe } from "../../formats/authenticode/index.ts";
import { encodeImageConfig, encodeManifest, layerMediaType } from "../../formats/oci/index.ts";
import { buildUki } from "../../formats/uki/index.ts";
import { encodePem } from "../../formats/x509/index.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { VerificationError } from "../../lib/errors.ts";
import { type Progress, silent } from "../../lib/progress.ts";
import {
  type ComposefsFormat,
  computeComposefsDigest,
  DEFAULT_COMPOSEFS_FORMAT,
  parseComposefsFormat,
} from "../../model/composefs/index.ts";
import { storeFile } from "../../model/host-io/files.ts";
import type { Image } from "../../model/image/image.ts";
import { type ImageWriter, openImageWriter } from "../../model/image/image-writer.ts";
import { openImage } from "../../model/image/open-image.ts";
import { scanLayers } from "../../model/layer/scan.ts";
import { checkCommandLine } from "../../model/os/index.ts";
import type { Signer } from "../../model/signing/signer.ts";
import { type ImageTree, readImage, type SourceOptions } from "../../model/source/tree-source.ts";
import { applyLayer } from "../../model/tree/apply.ts";
import { toBootTree, toOciTree } from "../../model/tree/transform.ts";
import { composeCommandLine } from "./command-line.ts";
import { type Sealed, sealedConfig, sealedManifest } from "./documents.ts";
import { openSealSigner, type SealSignerOptions } from "./open-signer.ts";
import { findSealParts, type SealParts } from "./parts.ts";
import type { SealReport } from "./report.ts";
import { planTopLayer, type TopLayerEntry, toLayer, withContent } from "./top-layer.ts";

export interface SealOptions extends SealSignerOptions {
  /** `oci:DIR[:TAG]` or `oci-archive:FILE[:TAG]`. */
  readonly to: string;
  /** Kernel parameters behind those of the image and the digest. */
  readonly kernelArguments?: readonly string[];
  /** Leave vmlinuz and initramfs.img in the tree as well. */
  readonly keepKernel?: boolean;
  /** A stub in the place of the image's. */
  readonly stubPath?: string | undefined;
  /** Default: `v1-sha512`. */
  readonly format?: string | undefined;
  /** Seal with `composefs=?`: hosts without fs-verity boot, unprotected. */
  readonly allowMissingVerity?: boolean;
  /** Replace an archive that is there already. */
  readonly overwrite?: boolean;
  /** Where to write the signing certificate, PEM. */
  readonly writeCertificateTo?: string | undefined;
  /** Of signatures, history and config. Default: signatures say when the certificate's validity starts, the rest nothing. */
  readonly buildTime?: Date | undefined;
  readonly platform?: string | undefined;
  readonly cacheDirectory?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly progress?: Progress | undefined;
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
  const { overwrite = false, platform, progress = silent, signal, to } = options;
  const format = options.format === undefined ? DEFAULT_COMPOSEFS_FORMAT : parseComposefsFormat(options.format);
  await using signer = await openSealSigner(options);
  await using writer = await openImageWriter(to, { overwrite, ...(signal && { signal }) });
  const reading: SourceOptions = { ...options, algorithms: [format.algorithm] };
  const image = await openImage(reference, { ...(platform && { platform }), ...(signal && { signal }) });
  await using source = await readImage(image, reading);

  progress({ step: "seal.find", text: "finding kernel, boot loader and kernel parameters" });
  const parts = await findSealParts(source, image.config.architecture, options.stubPath);
  const loader = await signLoader(parts, signer, signingTime(signer, options));
  const kernelStays = options.keepKernel ?? false;
  const plan = planTopLayer(source.tree, {
    removed: [...(kernelStays ? [] : kernelPaths(parts)), ...parts.staleLoaders.map(relative)],
    // The place of the UKI is known before its bytes are: what is in /boot is outside the digest.
    written: new Map([
      [relative(parts.loader.path), loader.bytes],
      [ukiPath(parts), new Uint8Array()],
    ]),
  });

  progress({ step: "seal.digest", text: "computing the digest of the sealed tree" });
  const topLayer = (entries: readonly TopLayerEntry[]) =>
    toLayer(entries, image.layers.length, layerMediaType(image.manifestMediaType, "none"));
  const [record] = await scanLayers([topLayer(plan)], { algorithms: [format.algorithm] });
  if (record !== undefined) applyLayer(source.tree, record, image.layers.length);
  const digest = await computeDigest(source, format);

  progress({ step: "seal.uki", text: "building and signing the UKI" });
  const commandLine = composeCommandLine({
    fromImage: parts.kernelArguments,
    seal: `composefs=${options.allowMissingVerity ? "?" : ""}${digest}`,
    extra: options.kernelArguments ?? [],
  });
  const uki = await buildSignedUki(parts, commandLine, signer, signingTime(signer, options));

  progress({ step: "seal.write", text: `writing ${to}` });
  const layer = topLayer(withContent(plan, ukiPath(parts), uki));
  const sealed: Sealed = { layer, format, digest, buildTime: options.buildTime };
  const manifest = await writeDocuments(writer, image, sealed);
  progress({ step: "seal.check", text: "reading back what was written" });
  await requireDigest(await writer.read(manifest), reading, format, digest);
  const { digest: manifestDigest } = await writer.commit(manifest);
  if (options.writeCertificateTo !== undefined) {
    await storeFile(options.writeCertificateTo, Buffer.from(encodePem("CERTIFICATE", signer.certificate.der)), {
      overwrite: true,
    });
  }

  return {
    source: reference,
    sourceManifest: image.manifestDigest,
    destination: to,
    manifestDigest,
    digest,
    format: format.name,
    kernel: { version: parts.kernel.version, kept: kernelStays },
    bootLoader: { path: parts.loader.path, authenticodeDigest: peDigest(loader.bytes), signedBefore: loader.before },
    uki: {
      path: `/${ukiPath(parts)}`,
      size: uki.length,
      authenticodeDigest: peDigest(uki),
      commandLine,
      stub: parts.stub.path,
    },
    signer: {
      subject: signer.certificate.subject,
      fingerprint: toHex(signer.certificate.fingerprint),
      ephemeral: options.ephemeralKeys ?? false,
    },
    layer: { digest: layer.digest, size: layer.size },
    reusedLayers: { count: image.layers.length, size: image.layers.reduce((sum, { size }) => sum + size, 0) },
    warnings: [...parts.warnings, ...checkCommandLine(commandLine)],
  };
}

/** The same seal gives the same bytes, so the time is not that of the day unless it is asked for. */
function signingTime({ certificate }: Signer, { buildTime }: SealOptions): Date {
  return buildTime ?? certificate.notBefore;
}

const relative = (path: string): string => path.replace(/^\/+/, "");

const ukiPath = ({ kernel }: SealParts): string => `boot/EFI/Linux/${kernel.version}.efi`;

function kernelPaths({ kernel }: SealParts): string[] {
  return [kernel.vmlinuz, kernel.initramfs].flatMap((file) => (file === undefined ? [] : [relative(file.path)]));
}

/** Signed in place: it is part of the tree. A signature of the same key from an earlier seal is kept. */
async function signLoader(
  { loader }: SealParts,
  signer: Signer,
  time: Date,
): Promise<{ readonly bytes: Uint8Array; readonly before: boolean }> {
  if (isSignedBy(loader.bytes, signer)) return { bytes: loader.bytes, before: true };
  return { bytes: await signPe(loader.bytes, signer, { signingTime: time }), before: false };
}

function isSignedBy(pe: Uint8Array, { certificate }: Signer): boolean {
  try {
    verifyPe(pe, { db: { certificates: [certificate] } });
    return true;
  } catch (error) {
    if (error instanceof VerificationError) return false;
    throw error;
  }
}

async function buildSignedUki(parts: SealParts, commandLine: string, signer: Signer, time: Date): Promise<Uint8Array> {
  const { bytes } = await buildUki(parts.stub.bytes, {
    linux: parts.linux,
    initrds: [parts.initramfs],
    osRelease: parts.osRelease,
    uname: parts.kernel.version,
    cmdline: Buffer.from(commandLine),
  });
  return await signPe(bytes, signer, { signingTime: time });
}

/** Makes the tree the one a host boots, and computes its digest. */
async function computeDigest(source: ImageTree, format: ComposefsFormat): Promise<string> {
  await toBootTree(toOciTree(source.tree), async (content) => {
    const [bytes] = await source.read([content]);
    return bytes as Uint8Array;
  });
  return toHex(computeComposefsDigest(source.tree, format));
}

async function writeDocuments(writer: ImageWriter, image: Image, sealed: Sealed) {
  for (const layer of image.layers) await writer.copyBlob(layer);
  await writer.putBlob(sealed.layer, sealed.layer.open());
  const config = await writer.putBytes(encodeImageConfig(sealedConfig(image, sealed)), image.manifest.config.mediaType);
  const manifestBytes = encodeManifest(sealedManifest(image, config, sealed));
  return { manifestBytes, mediaType: image.manifestMediaType };
}

/** The last word before anybody can see the image: from the written layers to the digest in the written UKI. */
async function requireDigest(
  written: Image,
  reading: SourceOptions,
  format: ComposefsFormat,
  expected: string,
): Promise<void> {
  await using source = await readImage(written, reading);
  const found = await computeDigest(source, format);
  if (found === expected) return;
  throw new VerificationError(
    "seal.digest-differs",
    `the written layers give the digest ${found}, the UKI has ${expected}`,
    {
      data: { found, expected },
      hint: "this is a fault of Sealwright or of the disk; nothing was published",
    },
  );
}

const peDigest = (pe: Uint8Array): string => toHex(computeAuthenticodeDigest(pe));
