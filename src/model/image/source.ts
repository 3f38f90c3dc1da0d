/**
 * What a place that holds images must offer, and how everything else about an image follows from it.
 *
 *     candidates ──> (index ──>)* manifest ──> config, layers
 */
import { layerHistory, MAX_CONFIG_SIZE, parseImageConfig, requireDiffIds } from "../../formats/oci/config.ts";
import type { Descriptor } from "../../formats/oci/descriptor.ts";
import type { BlobDigest } from "../../formats/oci/digest.ts";
import { MAX_MANIFEST_SIZE, parseImageIndex } from "../../formats/oci/image-index.ts";
import { type Manifest, parseManifest } from "../../formats/oci/manifest.ts";
import {
  isConfigMediaType,
  isIndexMediaType,
  isManifestMediaType,
  layerCompression,
} from "../../formats/oci/media-types.ts";
import { matchesPlatform, type Platform, showPlatform } from "../../formats/oci/platform.ts";
import { FormatError, NotFoundError, quote, UnsupportedError, UsageError } from "../../lib/errors.ts";
import { throwIfInterrupted } from "../host-io/interrupt.ts";
import { loadBlob } from "./blob.ts";
import type { Blob, Image, Layer } from "./image.ts";

/** A place that holds images: a layout, an archive, a registry. Holds open what it needs until it is disposed. */
export interface ImageSource extends AsyncDisposable {
  /** The reference as the user wrote it. */
  readonly name: string;
  /** What the reference can mean: manifests and indexes. More than one when it has no tag. */
  candidates(): Promise<readonly Descriptor[]>;
  /**
   * Finds stored bytes. Their presence and size are checked, the digest is not.
   *
   * @param what for messages
   * @throws {NotFoundError} `image.blob.missing`
   * @throws {VerificationError} `image.blob.size-mismatch`
   */
  blob(descriptor: Descriptor, what: string): Promise<Blob>;
  /** Manifests that are said to be about `subject`. Whoever reads them checks that they are. */
  referrers(subject: BlobDigest): Promise<readonly Descriptor[]>;
  /** What a tag of the same repository or layout names. */
  tagged(tag: string): Promise<Descriptor | undefined>;
}

export interface ResolveOptions {
  readonly platform: Platform;
  /** The user asked for this platform: an image for another one is refused even when it is the only one. */
  readonly platformRequired: boolean;
  readonly signal?: AbortSignal;
}

/** Safety limit: nobody nests indexes deeper than an index in an index. */
export const MAX_INDEX_DEPTH = 4;

/**
 * Reads manifest and config and checks their digests; layers are only found.
 *
 * Disposing the image disposes the source.
 *
 * @throws {FormatError} `oci.index.*`, `oci.manifest.*`, `oci.config.*`, `oci.digest.malformed`
 * @throws {NotFoundError} `image.not-found`, `image.platform.not-found`, `image.blob.missing`
 * @throws {UsageError} `image.ambiguous`
 * @throws {UnsupportedError} `oci.manifest.media-type-unsupported`, `oci.config.media-type-unsupported`,
 *   `oci.layer.media-type-unsupported`
 * @throws {VerificationError} `image.blob.digest-mismatch`, `image.blob.size-mismatch`
 */
export async function completeImage(source: ImageSource, options: ResolveOptions): Promise<Image> {
  const { name } = source;
  const chosen = await chooseCandidate(source, options);
  const descriptor = await resolveIndexes(source, chosen, options);

  const manifestBytes = await loadManifest(source, descriptor);
  const manifest = parseManifest(manifestBytes, `${name}: manifest`);
  const configBytes = await loadConfig(source, manifest);
  const config = parseImageConfig(configBytes, `${name}: image config`);
  // Configs often leave the variant to the index.
  const offered = { ...config, variant: config.variant ?? options.platform.variant };
  if (options.platformRequired && !matchesPlatform(offered, options.platform)) {
    throw platformNotFound(name, options.platform, [config]);
  }

  const diffIds = requireDiffIds(config, manifest);
  const history = layerHistory(config);
  const layers: Layer[] = [];
  for (const [index, layer] of manifest.layers.entries()) {
    throwIfInterrupted(options.signal);
    const what = `${name}: layer ${index}`;
    const compression = layerCompression(layer.mediaType, what);
    const blob = await source.blob(layer, what);
    const createdBy = history[index]?.created_by ?? undefined;
    const diffId = diffIds[index] as Layer["diffId"];
    layers.push({ ...blob, index, compression, diffId, ...(createdBy === undefined ? {} : { createdBy }) });
  }
  return {
    name,
    manifestDigest: descriptor.digest,
    manifestMediaType: descriptor.mediaType,
    manifestBytes,
    manifest,
    configBytes,
    config,
    layers,
    [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
  };
}

/** What the reference means, when it can mean one thing only. */
export async function chooseCandidate(source: ImageSource, { platform }: ResolveOptions): Promise<Descriptor> {
  const candidates = await source.candidates();
  const [first, ...others] = candidates;
  if (first === undefined) throw new NotFoundError("image.not-found", `${source.name}: no image in it`);
  if (others.length === 0) return first;
  const matching = candidates.filter(
    (candidate) => candidate.platform && matchesPlatform(candidate.platform, platform),
  );
  const [only, ...more] = matching;
  if (only !== undefined && more.length === 0) return only;
  throw new UsageError("image.ambiguous", `${source.name}: ${candidates.length} images, expected one`, {
    data: { images: candidates.map(showCandidate) },
    hint: `name one of them after a colon: ${candidates.slice(0, 10).map(showCandidate).join(", ")}`,
  });
}

function showCandidate(candidate: Descriptor): string {
  return candidate.annotations?.["org.opencontainers.image.ref.name"] ?? `@${candidate.digest}`;
}

/** Goes down through indexes to the manifest for a platform. */
export async function resolveIndexes(
  source: ImageSource,
  top: Descriptor,
  options: ResolveOptions,
): Promise<Descriptor> {
  const { platform, signal } = options;
  let descriptor = top;
  for (let depth = 0; isIndexMediaType(descriptor.mediaType); depth++) {
    throwIfInterrupted(signal);
    const what = `${source.name}: image index`;
    if (depth === MAX_INDEX_DEPTH) {
      throw new FormatError("oci.index.too-deep", { what, expected: `at most ${depth} levels`, found: "another one" });
    }
    const index = parseImageIndex(await loadManifest(source, descriptor), what);
    descriptor = chooseByPlatform(index.manifests, platform, source.name);
  }
  if (!isManifestMediaType(descriptor.mediaType)) {
    throw new UnsupportedError(
      "oci.manifest.media-type-unsupported",
      `${source.name}: media type ${quote(descriptor.mediaType)} is no image manifest of OCI or Docker schema 2`,
      { data: { mediaType: descriptor.mediaType } },
    );
  }
  return descriptor;
}

/**
 * The first manifest for the platform (image-index.md), else the only nested index, else the only manifest when it
 * does not say what it is for. Attestations that builders add are for the platform `unknown/unknown`.
 */
function chooseByPlatform(manifests: readonly Descriptor[], wanted: Platform, name: string): Descriptor {
  const match = manifests.find(({ platform }) => platform && matchesPlatform(platform, wanted));
  if (match !== undefined) return match;
  const silent = manifests.filter(({ platform }) => platform === undefined || platform === null);
  const [only, ...more] = silent;
  if (only !== undefined && more.length === 0) return only;
  throw platformNotFound(
    name,
    wanted,
    manifests.flatMap(({ platform }) => platform ?? []),
  );
}

function platformNotFound(name: string, wanted: Platform, offered: readonly Platform[]): NotFoundError {
  const list = [...new Set(offered.map(showPlatform))];
  const found = list.length === 0 ? "none that says its platform" : list.slice(0, 20).join(", ");
  return new NotFoundError(
    "image.platform.not-found",
    `${name}: found images for ${found}, expected one for ${showPlatform(wanted)}`,
    { data: { wanted: showPlatform(wanted), offered: list }, hint: "choose with --platform" },
  );
}

/** Reads a manifest or an index and checks its digest. */
export async function loadManifest(source: ImageSource, descriptor: Descriptor): Promise<Uint8Array> {
  const what = `${source.name}: ${isIndexMediaType(descriptor.mediaType) ? "image index" : "manifest"}`;
  return await loadBlob(await source.blob(descriptor, what), what, MAX_MANIFEST_SIZE, "oci.manifest.malformed");
}

async function loadConfig(source: ImageSource, { config }: Manifest): Promise<Uint8Array> {
  const what = `${source.name}: image config`;
  if (!isConfigMediaType(config.mediaType)) {
    throw new UnsupportedError(
      "oci.config.media-type-unsupported",
      `${what}: media type ${quote(config.mediaType)} is that of an artifact, not of a container image`,
      { data: { mediaType: config.mediaType } },
    );
  }
  return await loadBlob(await source.blob(config, what), what, MAX_CONFIG_SIZE, "oci.config.malformed");
}
