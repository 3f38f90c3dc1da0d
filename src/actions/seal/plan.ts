/** What a seal will be, before anything is signed but the boot loader: everything that follows from the image. */
import { verifyPe } from "../../formats/authenticode/index.ts";
import type { PeRole } from "../../formats/signing-request/index.ts";
import { buildUki, type PcrSigning } from "../../formats/uki/index.ts";
import type { Certificate } from "../../formats/x509/index.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { VerificationError } from "../../lib/errors.ts";
import { type Progress, silent } from "../../lib/progress.ts";
import { computeComposefsDigest, dumpTree } from "../../model/composefs/index.ts";
import type { Image } from "../../model/image/image.ts";
import { scanLayers } from "../../model/layer/scan.ts";
import type { Registries } from "../../model/registry/index.ts";
import { toCanonicalTree } from "../../model/source/canonical-tree.ts";
import type { ImageTree, SourceOptions } from "../../model/source/tree-source.ts";
import { applyLayer } from "../../model/tree/apply.ts";
import { loadSealAddons, requireJoinedCommandLine, type SealAddon } from "./addons.ts";
import { composeCommandLine } from "./command-line.ts";
import { type DigestFormats, type FormatDigest, parseDigestFormats, spellDigests } from "./digest-formats.ts";
import { type Normalization, planNormalization, RESHIP_LIMIT } from "./normalize.ts";
import { findSealParts, type SealParts } from "./parts.ts";
import { type PreparedSource, prepareSource, readRedeclared } from "./prepare-source.ts";
import { planTopLayer, type TopLayerEntry, toTopLayer } from "./top-layer.ts";

/** Who signs predictions of PCR 11 into the UKI, so that a TPM gives secrets to images that come later. */
export interface SealPcr {
  /** PEM, for `.pcrpkey`. */
  readonly publicKeyPem: Uint8Array;
  /** Without `sign`, the predictions are made and not signed. */
  readonly signing: PcrSigning;
}

/** What a seal depends on beside the image and the keys. */
export interface PlanOptions {
  /** Kernel parameters behind those of the image and the digest. */
  readonly kernelArguments?: readonly string[];
  /** UKI addons to sign and ship: `FILE` for this UKI, `global:FILE` for every UKI. */
  readonly addons?: readonly string[];
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
  readonly pcr?: SealPcr | undefined;
  /** Of the UKI's signature, history and config. Default: see `signingTimes`; history and config say nothing. */
  readonly buildTime?: Date | undefined;
  readonly platform?: string | undefined;
  readonly cacheDirectory?: string | undefined;
  /** Needed for images in registries. */
  readonly registries?: Registries | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly progress?: Progress | undefined;
}

/** An image that can be sealed, and what was found in it. Closing it closes the image. */
export interface SealInput extends AsyncDisposable {
  readonly image: Image;
  readonly prepared: PreparedSource;
  readonly reading: SourceOptions;
  readonly formats: DigestFormats;
  readonly parts: SealParts;
  readonly addons: readonly SealAddon[];
}

/** A PE file of the sealed image, to be signed. */
export interface UnsignedPe {
  readonly role: PeRole;
  /** Relative to the root of the image. */
  readonly path: string;
  readonly bytes: Uint8Array;
}

export type Digests = readonly [FormatDigest, ...FormatDigest[]];

export interface SealPlan {
  /** Signed; it is part of the tree. */
  readonly loader: Uint8Array;
  readonly digests: Digests;
  readonly commandLine: string;
  /** UKI and addons, to be signed. */
  readonly unsigned: readonly UnsignedPe[];
  readonly dump: Uint8Array | undefined;
  /** What is added to the image; files to be signed have no bytes yet. */
  readonly topLayer: readonly TopLayerEntry[];
  readonly normalization: Normalization | undefined;
}

/**
 * Reads an image and finds in it what is needed to seal it. Closes the image when it fails.
 *
 * @throws {UsageError} `composefs.format.unknown`, `seal.formats.same-spelling`
 * @throws {PolicyError} when the image cannot be sealed: the codes of `checkOs`
 * @throws {VerificationError} `layer.*` when the image is not what it says
 */
export async function openSealInput(image: Image, options: PlanOptions): Promise<SealInput> {
  const { normalize = false, normalizeAll = false, progress = silent } = options;
  const formats = parseDigestFormats(options.digestFormats);
  const algorithms = [...new Set(formats.map(({ algorithm }) => algorithm))];
  const reading: SourceOptions = { ...options, algorithms };
  const prepared = await prepareSource(image, reading, normalize || normalizeAll);
  const dispose = () => prepared[Symbol.asyncDispose]();
  try {
    progress({ step: "seal.find", text: "finding kernel, boot loader and kernel parameters" });
    const parts = await findSealParts(prepared.source, image.config.architecture, options.stubPath);
    const addons = await loadSealAddons(options.addons ?? [], ukiPath(parts), parts.kernel.version);
    return { image, prepared, reading, formats, parts, addons, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** The boot loader as it is in the image. */
export function unsignedLoader({ loader: { bytes, path } }: SealParts): UnsignedPe {
  return { role: "boot-loader", path: relative(path), bytes };
}

/**
 * When signatures say that they were made.
 *
 * The same seal gives the same bytes, so none says the time of day. That of the boot loader says the start of the
 * certificate's validity in every build: the same boot loader is then the same file, which hosts have already, and
 * a signature that was made once elsewhere serves for all of them.
 */
export function signingTimes({ notBefore }: Certificate, { buildTime }: PlanOptions): Readonly<Record<PeRole, Date>> {
  const time = buildTime ?? notBefore;
  return { "boot-loader": notBefore, uki: time, addon: time };
}

/**
 * Plans the layer on top, computes the digest of the tree with it, and builds the UKI that carries that digest. Changes
 * the tree of the input: there is one plan an input.
 *
 * @param loader the boot loader, signed: its bytes are part of the digest
 * @throws {PolicyError} `uki.cmdline.digest-given`
 */
export async function planSeal(input: SealInput, loader: Uint8Array, options: PlanOptions): Promise<SealPlan> {
  const { allowMissingVerity = false, keepKernel = false, normalizeAll = false, noDump, progress = silent } = options;
  const { addons, formats, image, parts, prepared } = input;
  const { source } = prepared;
  const loaderPath = relative(parts.loader.path);
  const removed = [...(keepKernel ? [] : kernelPaths(parts)), ...parts.staleLoaders.map(relative)];
  const normalization =
    prepared.history &&
    planNormalization(source.tree, prepared.history, {
      without: new Set([...removed, loaderPath]),
      limit: normalizeAll ? Number.POSITIVE_INFINITY : RESHIP_LIMIT,
    });
  const topLayer = planTopLayer(source.tree, {
    removed,
    // The places of these are known before their bytes are: what is in /boot is outside the digest.
    written: new Map([
      [loaderPath, loader],
      [ukiPath(parts), new Uint8Array()],
      ...addons.map(({ path }) => [path, new Uint8Array()] as const),
      ...(noDump ? [] : [[dumpPath(parts), new Uint8Array()] as const]),
    ]),
    ...(normalization && (await readRedeclared(source, normalization.redeclared))),
  });

  progress({ step: "seal.digest", text: "computing the digest of the sealed tree" });
  const below = source.image.layers.length;
  const algorithms = input.reading.algorithms;
  const [record] = await scanLayers([toTopLayer(topLayer, below, image.manifestMediaType)], { algorithms });
  if (record !== undefined) applyLayer(source.tree, record, below);
  const digests = await computeDigests(source, formats);
  const dump = noDump ? undefined : Buffer.concat([...dumpTree(source.tree, formats[0].algorithm)]);

  progress({ step: "seal.uki", text: "building the UKI" });
  const commandLine = composeCommandLine({
    fromImage: parts.kernelArguments,
    seal: spellDigests(digests, allowMissingVerity),
    extra: options.kernelArguments ?? [],
  });
  requireJoinedCommandLine(commandLine, addons);
  const unsigned: UnsignedPe[] = [
    { role: "uki", path: ukiPath(parts), bytes: await buildUnsignedUki(parts, commandLine, options.pcr) },
    ...addons.map(({ bytes, path }) => ({ role: "addon" as const, path, bytes })),
  ];
  return { loader, digests, commandLine, unsigned, dump, topLayer, normalization };
}

/** Makes the tree the one a host boots, and computes its digest in each format. */
export async function computeDigests(source: ImageTree, formats: DigestFormats): Promise<Digests> {
  await toCanonicalTree(source, false);
  const digests = formats.map((format) => ({ format, hex: toHex(computeComposefsDigest(source.tree, format)) }));
  return digests as unknown as Digests;
}

/** Whether a PE file has a signature already that this certificate stands for. */
export function isSignedFor(pe: Uint8Array, certificate: Certificate): boolean {
  try {
    verifyPe(pe, { db: { certificates: [certificate] } });
    return true;
  } catch (error) {
    if (error instanceof VerificationError) return false;
    throw error;
  }
}

async function buildUnsignedUki(parts: SealParts, commandLine: string, pcr: SealPcr | undefined): Promise<Uint8Array> {
  const inputs = {
    linux: parts.linux,
    initrds: [parts.initramfs],
    osRelease: parts.osRelease,
    uname: parts.kernel.version,
    cmdline: Buffer.from(commandLine),
    ...(pcr && { pcrPublicKey: pcr.publicKeyPem }),
  };
  const { bytes } = await buildUki(parts.stub.bytes, inputs, pcr && { signings: [pcr.signing] });
  return bytes;
}

const relative = (path: string): string => path.replace(/^\/+/, "");

export const ukiPath = ({ kernel }: SealParts): string => `boot/EFI/Linux/${kernel.version}.efi`;

/** No host reads it: it is for whoever asks why their digest is another. */
export const dumpPath = ({ kernel }: SealParts): string => `boot/${kernel.version}.dump`;

function kernelPaths({ kernel }: SealParts): string[] {
  return [kernel.vmlinuz, kernel.initramfs].flatMap((file) => (file === undefined ? [] : [relative(file.path)]));
}
