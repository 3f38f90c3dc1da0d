/** Cuts the layers of an image anew, by content. Its tree stays what it is, to the byte. */
import {
  type Compression,
  encodeImageConfig,
  encodeManifest,
  layerMediaType,
  MEDIA_TYPE,
} from "../../formats/oci/index.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { UsageError } from "../../lib/errors.ts";
import { type Progress, silent } from "../../lib/progress.ts";
import { COMPRESSION_LEVELS } from "../../lib/streams/compress.ts";
import { planLayout, readBuild } from "../../model/chunks/index.ts";
import { computeComposefsDigest, parseComposefsFormat } from "../../model/composefs/index.ts";
import { openImageWriter } from "../../model/image/image-writer.ts";
import { openImage } from "../../model/image/open-image.ts";
import { openPlainLayers } from "../../model/layer/plain-layers.ts";
import { openVerityPool } from "../../model/layer/verity-pool.ts";
import type { Registries } from "../../model/registry/index.ts";
import { toCanonicalTree } from "../../model/source/canonical-tree.ts";
import { type ImageTree, readImage, type SourceOptions } from "../../model/source/tree-source.ts";
import { lookup } from "../../model/tree/tree.ts";
import { nodesOf } from "../../model/tree/walk.ts";
import { measureLayers, requireSameTree } from "./check-layers.ts";
import { rechunkedConfig, rechunkedManifest } from "./documents.ts";
import { layersByDiffId, type PreviousBuild, readPrevious } from "./previous.ts";
import type { PreviousReport, RechunkedLayer, RechunkReport } from "./report.ts";
import { writeLayers } from "./write-layers.ts";

export interface RechunkOptions {
  /** `HOST/NAME[:TAG]` in a registry, `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]` or `containers-storage:NAME`. */
  readonly to: string;
  /** 1 to `MAX_LAYERS`. Default 64. */
  readonly maxLayers?: number;
  /** Earlier builds, newest first. */
  readonly previous?: readonly string[];
  /** Pack anew, though the newest of them has a layout. */
  readonly repack?: boolean;
  /** Default: zstd, and gzip for a Docker manifest, which knows no zstd. */
  readonly compression?: Compression | undefined;
  /** Of `COMPRESSION_LEVELS`. */
  readonly level?: number | undefined;
  /** Replace an archive that is there already. */
  readonly overwrite?: boolean;
  /** Of config and history. Default: those of the source. */
  readonly buildTime?: Date | undefined;
  readonly platform?: string | undefined;
  readonly cacheDirectory?: string | undefined;
  /** Needed for images in registries. */
  readonly registries?: Registries | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly progress?: Progress | undefined;
}

export const DEFAULT_MAX_LAYERS = 64;

/** Above this many, engines cannot mount an image any more, or will not. */
export const MAX_LAYERS = 500;

/**
 * Reads an image, cuts its tree into layers by content and writes it under another name. Before anything is stored, the
 * new layers are read and their tree is compared with that of the image.
 *
 * @throws {UsageError} `rechunk.max-layers`, `rechunk.level`
 * @throws {UnsupportedError} `oci.layer.media-type-unsupported` for zstd and a Docker manifest; `tar.xattr.…`,
 *   `tar.mtime.…` for what another tool's tar can hold and ours cannot
 * @throws {VerificationError} `layer.*` and `blob.*` when the image is not what it says; `rechunk.tree-differs`
 * @throws whatever opening the images and the writer throw
 */
export async function rechunkImage(reference: string, options: RechunkOptions): Promise<RechunkReport> {
  const { overwrite = false, platform, previous: names = [], progress = silent, registries, signal, to } = options;
  const { maxLayers = DEFAULT_MAX_LAYERS, repack = false } = options;
  requireLayerCount(maxLayers);
  await using stack = new AsyncDisposableStack();
  const writer = stack.use(await openImageWriter(to, { overwrite, registries, ...(signal && { signal }) }));
  const image = stack.use(
    await openImage(reference, { registries, ...(platform && { platform }), ...(signal && { signal }) }),
  );
  const { compression, level } = requireCompression(options, image.manifestMediaType);
  const plain = await openPlainLayers({ ...image, [Symbol.asyncDispose]: noop }, { progress, signal });
  const reading: SourceOptions = { ...options, algorithms: ["sha512"], pool: stack.use(openVerityPool()) };
  const source = stack.use(await readImage(plain, reading));

  progress({ step: "rechunk.components", text: "finding out what belongs together" });
  const build = await readBuild(source);
  const previous = await readPrevious(names, reading, stack);
  const layout = repack ? undefined : previous[0]?.layout;
  const planned = planLayout(build, {
    maxLayers,
    earlier: previous.map((each) => each.build.signatures),
    ...(layout && { heldLayers: layout }),
  });

  const measured = await measureLayers(planned.layers, plain.contents, reading);
  progress({ step: "rechunk.check", text: "comparing the new layers with the image" });
  await requireSameTree(source.tree, measured, plain.contents, reading);
  const entries = countEntries(source);

  const stored = layersByDiffId([...previous.map((each) => each.image), image].filter(hasSameFamily(image)));
  const usable = options.compression === undefined ? stored : withCompression(stored, compression);
  const layers = await writeLayers(writer, measured, plain.contents, {
    manifestMediaType: image.manifestMediaType,
    compression,
    level,
    stored: usable,
    signal,
    progress,
  });

  const configBytes = encodeImageConfig(rechunkedConfig(image, layers, options.buildTime));
  const config = await writer.putBytes(configBytes, image.manifest.config.mediaType);
  const manifestBytes = encodeManifest(rechunkedManifest(image, config, layers));
  const digest = await computeDigest(source);
  const { digest: manifestDigest } = await writer.commit({ manifestBytes, mediaType: image.manifestMediaType });
  return {
    source: reference,
    sourceManifest: image.manifestDigest,
    destination: to,
    manifestDigest,
    digest,
    entries,
    components: planned.components.length,
    compression,
    layers,
    sourceLayers: { count: image.layers.length, size: image.layers.reduce((sum, { size }) => sum + size, 0) },
    expected: planned.expected,
    previous: previous.map((each, index) => describePrevious(each, layers, index === 0 && layout !== undefined)),
    warnings: build.problems,
  };
}

/** Of what somebody else closes. */
const noop = (): Promise<void> => Promise.resolve();

function requireLayerCount(count: number): void {
  if (Number.isInteger(count) && count >= 1 && count <= MAX_LAYERS) return;
  throw new UsageError("rechunk.max-layers", `found ${count} layers, expected 1 to ${MAX_LAYERS}`);
}

function requireCompression(
  { compression, level }: RechunkOptions,
  manifestMediaType: string,
): { compression: Compression; level: number | undefined } {
  const chosen = compression ?? (manifestMediaType === MEDIA_TYPE.dockerManifest ? "gzip" : "zstd");
  layerMediaType(manifestMediaType, chosen);
  if (level === undefined) return { compression: chosen, level };
  if (chosen === "none") throw new UsageError("rechunk.level", `found level ${level} without compression`);
  const { max, min } = COMPRESSION_LEVELS[chosen];
  if (Number.isInteger(level) && level >= min && level <= max) return { compression: chosen, level };
  throw new UsageError("rechunk.level", `found level ${level}, expected ${min} to ${max} for ${chosen}`);
}

/** A blob keeps its media type, which is one of OCI or one of Docker. */
const hasSameFamily =
  ({ manifestMediaType }: { readonly manifestMediaType: string }) =>
  (other: { readonly manifestMediaType: string }): boolean =>
    other.manifestMediaType === manifestMediaType;

const withCompression = (stored: ReturnType<typeof layersByDiffId>, compression: Compression): typeof stored =>
  new Map([...stored].filter(([, { layer }]) => layer.compression === compression));

function countEntries({ tree }: ImageTree): number {
  let count = -1;
  for (const _ of nodesOf(tree.root)) count++;
  return count;
}

/** Changes the tree. */
async function computeDigest(source: ImageTree): Promise<RechunkReport["digest"]> {
  const isBootable = ["usr", "boot", "sysroot"].every((path) => lookup(source.tree, path)?.kind === "directory");
  if (!isBootable) return null;
  const format = parseComposefsFormat("v1-sha512");
  await toCanonicalTree(source, false);
  return { format: format.name, hex: toHex(computeComposefsDigest(source.tree, format)) };
}

function describePrevious(
  { image }: PreviousBuild,
  layers: readonly RechunkedLayer[],
  layoutKept: boolean,
): PreviousReport {
  const has = new Set(image.layers.map(({ digest }) => digest));
  const shared = layers.filter(({ digest }) => has.has(digest));
  return {
    name: image.name,
    manifestDigest: image.manifestDigest,
    layoutKept,
    shared: { count: shared.length, size: shared.reduce((sum, { size }) => sum + size, 0) },
  };
}
