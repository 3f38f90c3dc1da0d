/** Seals what a reference names, be it one image or an index with an image for each of several platforms. */
import {
  type Descriptor,
  encodeImageIndex,
  type ImageIndex,
  isIndexMediaType,
  MEDIA_TYPE,
  parseImageIndex,
  parseReference,
} from "../../formats/oci/index.ts";
import { PolicyError, type SealwrightError, UnsupportedError } from "../../lib/errors.ts";
import { type Progress, silent } from "../../lib/progress.ts";
import { copyBlobs } from "../../model/image/copy-blobs.ts";
import { planCopy } from "../../model/image/copy-plan.ts";
import { hostPlatform } from "../../model/image/host-platform.ts";
import { type ImageWriter, openImageWriter } from "../../model/image/image-writer.ts";
import { openImageSource } from "../../model/image/open-image.ts";
import { chooseCandidate, completeImage, type ImageSource, loadManifest } from "../../model/image/source.ts";
import { openSealSigner } from "../seal/open-signer.ts";
import type { SealReport } from "../seal/report.ts";
import {
  type SealOptions,
  type SealTools,
  sealImage,
  storeSigningCertificate,
  type WrittenSeal,
  writeSealed,
} from "../seal/seal-image.ts";
import { platformMember, type Unsealable, whyNotSealable } from "./index-entries.ts";
import type { KeptManifest, SealedPlatform, SealIndexReport } from "./report.ts";

/**
 * Seals an image, or every image of an index that can be sealed. The others stay in the index as they are, and the
 * report says why; nothing is shown before all of it was written and checked.
 *
 * @throws {PolicyError} `seal.index.nothing-sealable`
 * @throws as `sealImage`
 */
export async function sealReference(reference: string, options: SealOptions): Promise<SealReport | SealIndexReport> {
  const index = options.platform === undefined ? await openIndex(reference, options) : undefined;
  if (index === undefined) return await sealImage(reference, options);
  await using source = index.source;
  await using signer = await openSealSigner(options);
  const { overwrite = false, registries, signal, to } = options;
  await using writer = await openImageWriter(to, { overwrite, registries, ...(signal && { signal }) });
  const written = await sealEntries(source, parseIndex(index), { signer, writer }, options);
  const { mediaType, top } = index;
  const manifest = { mediaType, manifestBytes: encodeImageIndex(rewriteIndex(parseIndex(index), top, written)) };
  await options.beforeShown?.({ manifest, signer, writer });
  const { digest } = await writer.commit(manifest);
  await storeSigningCertificate(signer, options);
  return {
    source: reference,
    sourceIndex: top.digest,
    destination: to,
    manifestDigest: digest,
    mediaType,
    sealed: written.flatMap(({ sealed }) => sealed ?? []),
    kept: written.flatMap(({ kept }) => kept ?? []),
  };
}

interface OpenIndex {
  readonly source: ImageSource;
  readonly top: Descriptor;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
}

const parseIndex = ({ bytes, source }: OpenIndex): ImageIndex => parseImageIndex(bytes, `${source.name}: image index`);

/** Engines and their archives have one image under one name, and opening it costs a copy. */
const HOLDS_INDEXES: ReadonlySet<string> = new Set(["docker", "oci", "oci-archive"]);

/** @returns nothing when the reference names an image */
async function openIndex(reference: string, { registries, signal }: SealOptions): Promise<OpenIndex | undefined> {
  if (!HOLDS_INDEXES.has(parseReference(reference).transport)) return undefined;
  const source = await openImageSource(reference, { registries, ...(signal && { signal }) });
  try {
    const top = await chooseCandidate(source, { platform: hostPlatform(), platformRequired: false });
    const { mediaType } = top;
    if (isIndexMediaType(mediaType)) return { source, top, mediaType, bytes: await loadManifest(source, top) };
  } catch (error) {
    await source[Symbol.asyncDispose]();
    throw error;
  }
  await source[Symbol.asyncDispose]();
  return undefined;
}

/** One entry of the index, as it will be in the new one. */
interface WrittenEntry {
  readonly entry: Descriptor;
  readonly sealed?: SealedPlatform;
  readonly kept?: KeptManifest;
}

async function sealEntries(
  source: ImageSource,
  { manifests }: ImageIndex,
  tools: SealTools,
  options: SealOptions,
): Promise<readonly WrittenEntry[]> {
  const written: WrittenEntry[] = [];
  for (const entry of manifests) {
    const found = whyNotSealable(entry) ?? (await trySeal(source, entry, tools, options));
    written.push("report" in found ? await showSealed(entry, found, tools, options) : keep(entry, found));
  }
  if (!written.some(({ sealed }) => sealed)) throw nothingSealable(source, written);
  for (const { entry, kept } of written) if (kept) await copyEntry(source, entry, tools.writer, options);
  return written;
}

/** An image that is not made to be sealed is no reason to seal none; one that is not what it says is. */
async function trySeal(
  source: ImageSource,
  entry: Descriptor,
  tools: SealTools,
  options: SealOptions,
): Promise<WrittenSeal | Unsealable> {
  const platform = entry.platform ?? hostPlatform();
  const view: ImageSource = {
    ...source,
    candidates: () => Promise.resolve([entry]),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  const named = platformMember(entry).platform ?? entry.digest;
  try {
    const image = await completeImage(view, { platform, platformRequired: false });
    const progress = withPrefix(options.progress ?? silent, named);
    return await writeSealed(image, tools, { ...options, progress });
  } catch (error) {
    if (!(error instanceof PolicyError) && !(error instanceof UnsupportedError)) throw error;
    return { code: error.code, reason: withoutName(error, source.name) };
  }
}

async function showSealed(
  entry: Descriptor,
  { manifest, report }: WrittenSeal,
  tools: SealTools,
  { beforeShown }: SealOptions,
): Promise<WrittenEntry> {
  const { digest, mediaType, size } = await tools.writer.putBytes(manifest.manifestBytes, manifest.mediaType);
  await beforeShown?.({ manifest, report, ...tools });
  return { entry: { ...entry, mediaType, digest, size }, sealed: { ...platformMember(entry), report } };
}

const keep = (entry: Descriptor, { code, reason }: Unsealable): WrittenEntry => ({
  entry,
  kept: { ...platformMember(entry), digest: entry.digest, code, reason },
});

async function copyEntry(
  source: ImageSource,
  entry: Descriptor,
  writer: ImageWriter,
  { signal }: SealOptions,
): Promise<void> {
  const plan = await planCopy(source, entry);
  await copyBlobs(writer, plan.blobs.values(), { signal });
  for (const { bytes, mediaType } of plan.manifests) await writer.putBytes(bytes, mediaType);
}

/** The same index with other entries; what it was made from is said as it is on a sealed image. */
function rewriteIndex(
  index: ImageIndex,
  { digest, mediaType }: Descriptor,
  written: readonly WrittenEntry[],
): ImageIndex {
  return {
    ...index,
    manifests: written.map(({ entry }) => entry),
    // A list of Docker has no annotations.
    ...(mediaType === MEDIA_TYPE.index && {
      annotations: { ...index.annotations, "org.opencontainers.image.base.digest": digest },
    }),
  };
}

function withPrefix(progress: Progress, prefix: string): Progress {
  return (event) => progress({ ...event, text: `${prefix}: ${event.text}` });
}

/** The report says of which image it speaks. */
function withoutName({ message }: SealwrightError, name: string): string {
  return message.startsWith(`${name}: `) ? message.slice(name.length + 2) : message;
}

function nothingSealable({ name }: ImageSource, written: readonly WrittenEntry[]): PolicyError {
  const kept = written.flatMap((each) => each.kept ?? []);
  const reasons = kept.slice(0, 10).map(({ digest, platform = digest, reason }) => `${platform}: ${reason}`);
  return new PolicyError(
    "seal.index.nothing-sealable",
    `${name}: none of the ${kept.length} manifests in the index can be sealed: ${reasons.join("; ")}`,
    { data: { kept }, hint: "sealwright lint IMAGE --platform OS/ARCH says what is missing" },
  );
}
