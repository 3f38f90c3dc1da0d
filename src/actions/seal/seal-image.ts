/** Seals an image: signed boot loader, signed UKI with the digest of the tree, one layer on top. */
import { computeAuthenticodeDigest, signPe, verifyPe } from "../../formats/authenticode/index.ts";
import { encodeImageConfig, encodeManifest, layerMediaType, toBlobDigest } from "../../formats/oci/index.ts";
import { buildUki } from "../../formats/uki/index.ts";
import { encodePem } from "../../formats/x509/index.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { VerificationError } from "../../lib/errors.ts";
import { type Progress, silent } from "../../lib/progress.ts";
import { computeComposefsDigest, dumpTree } from "../../model/composefs/index.ts";
import { storeFile } from "../../model/host-io/files.ts";
import { copyBlobs } from "../../model/image/copy-blobs.ts";
import type { Image } from "../../model/image/image.ts";
import { type ImageWriter, type NewManifest, openImageWriter } from "../../model/image/image-writer.ts";
import { openImage } from "../../model/image/open-image.ts";
import { scanLayers } from "../../model/layer/scan.ts";
import { checkCommandLine } from "../../model/os/index.ts";
import type { Registries } from "../../model/registry/index.ts";
import type { Signer } from "../../model/signing/signer.ts";
import { toCanonicalTree } from "../../model/source/canonical-tree.ts";
import { type ImageTree, readImage, type SourceOptions } from "../../model/source/tree-source.ts";
import { applyLayer } from "../../model/tree/apply.ts";
import { composeCommandLine } from "./command-line.ts";
import { type DigestFormats, type FormatDigest, parseDigestFormats, spellDigests } from "./digest-formats.ts";
import { type Sealed, sealedConfig, sealedManifest } from "./documents.ts";
import { planNormalization, RESHIP_LIMIT } from "./normalize.ts";
import { openSealSigner, type SealSignerOptions } from "./open-signer.ts";
import { findSealParts, type SealParts } from "./parts.ts";
import { prepareSource, readRedeclared } from "./prepare-source.ts";
import type { SealReport } from "./report.ts";
import { planTopLayer, type TopLayerEntry, toLayer, withContent } from "./top-layer.ts";

export interface SealOptions extends SealSignerOptions {
  /** `HOST/NAME[:TAG]` in a registry, `oci:DIR[:TAG]` or `oci-archive:FILE[:TAG]`. */
  readonly to: string;
  /** Kernel parameters behind those of the image and the digest. */
  readonly kernelArguments?: readonly string[];
  /** Leave vmlinuz and initramfs.img in the tree as well. */
  readonly keepKernel?: boolean;
  /** A stub in the place of the image's. */
  readonly stubPath?: string | undefined;
  /** Formats of the digests on the command line, with commas between them. Default: `v1-sha512`. */
  readonly digestFormats?: string | undefined;
  /** Make every tool see the same tree: see `normalize.ts`. */
  readonly normalize?: boolean;
  /** Also where that ships more than 64 MiB of files again. */
  readonly normalizeAll?: boolean;
  /** Write no dump of the sealed tree to `/boot/VERSION.dump`. */
  readonly noDump?: boolean;
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
  /** Needed for images in registries. */
  readonly registries?: Registries | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly progress?: Progress | undefined;
  /** Called with each sealed image, and with the index of several, when it is written and before it is shown. */
  readonly beforeShown?: ((sealed: SealedManifest) => Promise<void>) | undefined;
}

/** What can still be said about a sealed image, to be shown together with it. */
export interface SealedManifest extends SealTools {
  readonly manifest: NewManifest;
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
  await options.beforeShown?.({ manifest, signer, writer });
  await writer.commit(manifest);
  await storeSigningCertificate(signer, options);
  return report;
}

/** What one seal needs that several can share: those of the platforms of an index. */
export interface SealTools {
  readonly signer: Signer;
  readonly writer: ImageWriter;
}

export interface WrittenSeal {
  /** In the writer, and not yet committed. */
  readonly manifest: NewManifest;
  readonly report: SealReport;
}

/**
 * Seals an open image into a writer, up to the moment before it is shown: what was written is read again and its
 * digest recomputed. Closes the image.
 *
 * @throws as `sealImage`
 */
export async function writeSealed(
  image: Image,
  { signer, writer }: SealTools,
  options: SealOptions,
): Promise<WrittenSeal> {
  const { normalize = false, normalizeAll = false, progress = silent, signal, to } = options;
  const formats = parseDigestFormats(options.digestFormats);
  const [{ algorithm: dumpAlgorithm, name: format }] = formats;
  const algorithms = [...new Set(formats.map(({ algorithm }) => algorithm))];
  const reading: SourceOptions = { ...options, algorithms };
  await using prepared = await prepareSource(image, reading, normalize || normalizeAll);
  const { mended, source } = prepared;
  const below = source.image.layers;

  progress({ step: "seal.find", text: "finding kernel, boot loader and kernel parameters" });
  const parts = await findSealParts(source, image.config.architecture, options.stubPath);
  const loader = await signLoader(parts, signer, signingTime(signer, options));
  const kernelStays = options.keepKernel ?? false;
  const removed = [...(kernelStays ? [] : kernelPaths(parts)), ...parts.staleLoaders.map(relative)];
  const normalization =
    prepared.history &&
    planNormalization(source.tree, prepared.history, {
      without: new Set([...removed, relative(parts.loader.path)]),
      limit: normalizeAll ? Number.POSITIVE_INFINITY : RESHIP_LIMIT,
    });
  const plan = planTopLayer(source.tree, {
    removed,
    // The places of UKI and dump are known before their bytes are: what is in /boot is outside the digest.
    written: new Map([
      [relative(parts.loader.path), loader.bytes],
      [ukiPath(parts), new Uint8Array()],
      ...(options.noDump ? [] : [[dumpPath(parts), new Uint8Array()] as const]),
    ]),
    ...(normalization && (await readRedeclared(source, normalization.redeclared))),
  });

  progress({ step: "seal.digest", text: "computing the digest of the sealed tree" });
  const topLayer = (entries: readonly TopLayerEntry[]) =>
    toLayer(entries, below.length, layerMediaType(image.manifestMediaType, "none"));
  const [record] = await scanLayers([topLayer(plan)], { algorithms });
  if (record !== undefined) applyLayer(source.tree, record, below.length);
  const digests = await computeDigests(source, formats);
  const [{ hex: digest }] = digests;
  const dump = options.noDump ? undefined : Buffer.concat([...dumpTree(source.tree, dumpAlgorithm)]);

  progress({ step: "seal.uki", text: "building and signing the UKI" });
  const commandLine = composeCommandLine({
    fromImage: parts.kernelArguments,
    seal: spellDigests(digests, options.allowMissingVerity ?? false),
    extra: options.kernelArguments ?? [],
  });
  const uki = await buildSignedUki(parts, commandLine, signer, signingTime(signer, options));

  progress({ step: "seal.write", text: `writing ${to}` });
  const withUki = withContent(plan, ukiPath(parts), uki);
  const layer = topLayer(dump === undefined ? withUki : withContent(withUki, dumpPath(parts), dump));
  const sealed: Sealed = { layer, below, digests, buildTime: options.buildTime };
  const manifest = await writeDocuments(writer, image, sealed, signal);
  progress({ step: "seal.check", text: "reading back what was written" });
  await requireDigests(await writer.read(manifest), reading, digests);

  const report: SealReport = {
    source: image.name,
    sourceManifest: image.manifestDigest,
    destination: to,
    manifestDigest: toBlobDigest(manifest.manifestBytes),
    digest,
    format,
    digests: Object.fromEntries(digests.map((each) => [each.format.name, each.hex])),
    ...(dump === undefined ? {} : { dump: { path: `/${dumpPath(parts)}`, size: dump.length } }),
    ...(normalization === undefined
      ? {}
      : { normalization: { changes: normalization.changes, left: normalization.left, mendedLayers: mended } }),
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
    reusedLayers: {
      count: below.length - mended.length,
      size: below.reduce(
        (sum, { digest: name, size }) => sum + (mended.some((each) => each.digest === name) ? 0 : size),
        0,
      ),
    },
    warnings: [...parts.warnings, ...checkCommandLine(commandLine)],
  };
  return { manifest, report };
}

/** Where `--write-cert` says. */
export async function storeSigningCertificate(
  { certificate }: Signer,
  { writeCertificateTo }: SealOptions,
): Promise<void> {
  if (writeCertificateTo === undefined) return;
  await storeFile(writeCertificateTo, Buffer.from(encodePem("CERTIFICATE", certificate.der)), { overwrite: true });
}

/** The same seal gives the same bytes, so the time is not that of the day unless it is asked for. */
function signingTime({ certificate }: Signer, { buildTime }: SealOptions): Date {
  return buildTime ?? certificate.notBefore;
}

const relative = (path: string): string => path.replace(/^\/+/, "");

const ukiPath = ({ kernel }: SealParts): string => `boot/EFI/Linux/${kernel.version}.efi`;

/** No host reads it: it is for whoever asks why their digest is another. */
const dumpPath = ({ kernel }: SealParts): string => `boot/${kernel.version}.dump`;

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

type Digests = readonly [FormatDigest, ...FormatDigest[]];

/** Makes the tree the one a host boots, and computes its digest in each format. */
async function computeDigests(source: ImageTree, formats: DigestFormats): Promise<Digests> {
  await toCanonicalTree(source, false);
  const digests = formats.map((format) => ({ format, hex: toHex(computeComposefsDigest(source.tree, format)) }));
  return digests as unknown as Digests;
}

async function writeDocuments(writer: ImageWriter, image: Image, sealed: Sealed, signal: AbortSignal | undefined) {
  await copyBlobs(writer, [...sealed.below, sealed.layer], { signal });
  const config = await writer.putBytes(encodeImageConfig(sealedConfig(image, sealed)), image.manifest.config.mediaType);
  const manifestBytes = encodeManifest(sealedManifest(image, config, sealed));
  return { manifestBytes, mediaType: image.manifestMediaType };
}

/** The last word before anybody can see the image: from the written layers to the digest in the written UKI. */
async function requireDigests(written: Image, reading: SourceOptions, expected: Digests): Promise<void> {
  await using source = await readImage(written, reading);
  const formats = expected.map(({ format }) => format) as unknown as DigestFormats;
  for (const [index, { hex }] of (await computeDigests(source, formats)).entries()) {
    const wanted = expected[index]?.hex;
    if (hex === wanted) continue;
    throw new VerificationError(
      "seal.digest-differs",
      `the written layers give the digest ${hex}, the UKI has ${wanted}`,
      {
        data: { found: hex, expected: wanted },
        hint: "this is a fault of Sealwright or of the disk; nothing was published",
      },
    );
  }
}

const peDigest = (pe: Uint8Array): string => toHex(computeAuthenticodeDigest(pe));
