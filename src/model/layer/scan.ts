import type { VerityAlgorithm } from "../../formats/fsverity/algorithm.ts";
import { type BlobDigest, blobDigestAlgorithm } from "../../formats/oci/digest.ts";
import { type TarItem, TarStream } from "../../formats/tar/index.ts";
import { InterruptedError, SealwrightError, VerificationError } from "../../lib/errors.ts";
import { SharedSlots, type Slot } from "../../lib/hash/shared-slots.ts";
import type { WorkerPool } from "../../lib/hash/worker-pool.ts";
import { type Progress, silent } from "../../lib/progress.ts";
import { decompress } from "../../lib/streams/decompress.ts";
import type { Layer } from "../image/image.ts";
import { type Content, type ExternalContent, INLINE_CONTENT_MAX } from "../tree/tree.ts";
import type { LayerCache } from "./cache.ts";
import { ContentHasher, SLOT_HEADROOM } from "./content-hasher.ts";
import type { LayerEntry, LayerRecord } from "./entry.ts";
import { OpenJobs } from "./open-jobs.ts";
import { RunningHash, TappedHash } from "./running-hash.ts";
import { fileSource, type SlotSource, streamSource } from "./slot-source.ts";
import { toLayerEntry } from "./to-entry.ts";
import { openVerityPool } from "./verity-pool.ts";

/** Bytes that go to the workers at a time. */
const SLOT_SIZE = 1 << 20;

export interface ScanOptions {
  /** fs-verity digests to compute of each external content; at least one. */
  readonly algorithms: readonly VerityAlgorithm[];
  readonly signal?: AbortSignal;
  /** Step `layers.read`, in stored bytes. */
  readonly progress?: Progress;
  readonly cache?: LayerCache;
  /** Reads every layer and checks its digests even when the cache knows what is in it. */
  readonly verifyBlobs?: boolean;
  /** Workers to use; without, some are started for this call. */
  readonly pool?: WorkerPool;
  /** Shows the tar of a layer to somebody as it passes by. A layer that is tapped is read, whatever the cache knows. */
  readonly tap?: (layer: Layer) => TarTap;
}

/** Gets a whole tar in order: what is in the records as external content by its name, everything else as bytes. */
export interface TarTap {
  /** @param bytes a view that is overwritten later */
  inline(bytes: Uint8Array): void;
  /** @param content has its digests once the scan is done, and before that as soon as they are known */
  external(content: ExternalContent): void;
  /** Waited for before more is read. */
  drained(): Promise<void>;
}

/**
 * Reads layers, each once: checks their digests, decodes their tar and computes the fs-verity digest of every content
 * of more than 64 bytes.
 *
 * Memory is bounded by the number of workers, whatever the size of a layer or a file (apart from the entries themselves).
 * Layers are read in parallel, the largest first.
 *
 * @returns a record for each layer, in the order of `layers`
 * @throws {VerificationError} `layer.blob-size-mismatch`, `layer.blob-digest-mismatch`, `layer.diff-id-mismatch`
 * @throws {FormatError} `tar.*`, `gzip.*`, `zstd.*`, `stream.*`, `layer.device.too-large`
 * @throws {InterruptedError} when `signal` aborts
 */
export async function scanLayers(layers: readonly Layer[], options: ScanOptions): Promise<LayerRecord[]> {
  const { algorithms, signal, progress = silent, cache, tap } = options;
  const verifyBlobs = options.verifyBlobs === true || tap !== undefined;
  await using own = options.pool === undefined ? openVerityPool() : null;
  const pool = (options.pool ?? own) as WorkerPool;
  const parallel = Math.min(layers.length, pool.size);
  // Each layer holds two slots that are being filled; the rest keep the workers busy.
  const slots = new SharedSlots(2 * parallel + 4 * pool.size, SLOT_HEADROOM + SLOT_SIZE);
  const total = layers.reduce((sum, { size }) => sum + size, 0);
  let done = 0;
  const stop = new AbortController();
  const read = (bytes: number): void => {
    if (signal?.aborted || stop.signal.aborted) throw new InterruptedError();
    done += bytes;
    progress({
      step: "layers.read",
      text: `reading ${layers.length} layer${layers.length === 1 ? "" : "s"}`,
      done,
      total,
      unit: "bytes",
    });
  };
  const queue = [...layers.entries()].sort(([, a], [, b]) => b.size - a.size);
  const records: LayerRecord[] = [];
  const work = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const [index, layer] = next;
      const known = verifyBlobs ? undefined : await cache?.load(layer.diffId, algorithms, layer.index);
      if (known !== undefined) read(layer.size);
      records[index] = known ?? (await scanLayer(layer, { pool, slots, algorithms, read, tap: tap?.(layer) }));
      if (known === undefined) await cache?.store(layer.diffId, algorithms, records[index]);
    }
  };
  const workers = Array.from({ length: parallel }, async () => {
    try {
      await work();
    } catch (error) {
      stop.abort(); // the others stop at their next slot
      throw error;
    }
  });
  const results = await Promise.allSettled(workers);
  const failures = results.filter((result) => result.status === "rejected").map(({ reason }) => reason as unknown);
  const failure = failures.find((error) => !(error instanceof InterruptedError)) ?? failures[0];
  if (failure !== undefined) throw failure;
  return records;
}

interface ScanContext {
  readonly pool: WorkerPool;
  readonly slots: SharedSlots;
  readonly algorithms: readonly VerityAlgorithm[];
  /** Counts stored bytes, and throws when the scan is to stop. */
  readonly read: (bytes: number) => void;
  readonly tap: TarTap | undefined;
}

async function scanLayer(layer: Layer, context: ScanContext): Promise<LayerRecord> {
  const jobs = new OpenJobs();
  try {
    return await (layer.compression === "none"
      ? scanPlain(layer, context, jobs)
      : scanCompressed(layer, context, jobs));
  } catch (error) {
    if (error instanceof SealwrightError && !(error instanceof InterruptedError)) {
      error.message = `layer ${layer.index} (${layer.digest}): ${error.message}`;
    }
    throw error;
  } finally {
    await jobs.settled(); // they use the slots
  }
}

/** The blob is the tar: one pass of hashing for both names, which are mostly one. */
async function scanPlain(layer: Layer, context: ScanContext, jobs: OpenJobs): Promise<LayerRecord> {
  const algorithms = new Set([blobDigestAlgorithm(layer.digest), blobDigestAlgorithm(layer.diffId)]);
  const hashes = [...algorithms].map((algorithm) => new RunningHash(context.pool, algorithm));
  if (layer.file !== undefined) requireBlobSize(layer, layer.file.size);
  await using source = layer.file === undefined ? streamSource(layer.open()) : await fileSource(layer.file);
  const record = await readTar(source, layer, context, jobs, hashes, context.read);
  requireBlobSize(layer, record.size);
  const found = new Set(await Promise.all(hashes.map((hash) => hash.digest())));
  requireDigest("layer.blob-digest-mismatch", layer.digest, found);
  requireDigest("layer.diff-id-mismatch", layer.diffId, found);
  return record;
}

async function scanCompressed(layer: Layer, context: ScanContext, jobs: OpenJobs): Promise<LayerRecord> {
  const blobHash = new TappedHash(
    new RunningHash(context.pool, blobDigestAlgorithm(layer.digest)),
    context.slots,
    (job) => jobs.add(job),
  );
  const tarHash = new RunningHash(context.pool, blobDigestAlgorithm(layer.diffId));
  let size = 0;
  async function* tapped(): AsyncGenerator<Uint8Array, void, void> {
    for await (const chunk of layer.open()) {
      context.read(chunk.length);
      size += chunk.length;
      if (size > layer.size) requireBlobSize(layer, size);
      await blobHash.update(chunk);
      yield chunk;
    }
  }
  try {
    await using source = streamSource(decompress(tapped(), layer.compression));
    const record = await readTar(source, layer, context, jobs, [tarHash], () => context.read(0));
    requireBlobSize(layer, size);
    requireDigest("layer.blob-digest-mismatch", layer.digest, new Set([await blobHash.digest()]));
    requireDigest("layer.diff-id-mismatch", layer.diffId, new Set([await tarHash.digest()]));
    await jobs.done();
    return record;
  } finally {
    blobHash.abandon();
  }
}

/**
 * Brings a tar through the slots: each is filled, decoded here, hashed in the workers, and filled again.
 *
 * @param progress is told the bytes of each slot
 */
async function readTar(
  source: SlotSource,
  layer: Layer,
  { pool, slots, algorithms, tap }: ScanContext,
  jobs: OpenJobs,
  hashes: readonly RunningHash[],
  progress: (bytes: number) => void,
): Promise<LayerRecord> {
  const entries: LayerEntry[] = [];
  const hasher = new ContentHasher(pool, algorithms);
  let inline: { readonly bytes: Uint8Array; fill: number } | undefined;
  let slotBytes = new Uint8Array();
  /** What the tap has not seen: the content that begins, and bytes of the slot. */
  let untold: ExternalContent | undefined;
  let toldTo = 0;
  const tellInline = (to: number): void => {
    if (toldTo < to) tap?.inline(slotBytes.subarray(toldTo, to));
  };
  const startContent = ({ entry, offset }: TarItem): Content => {
    const size = entry.kind === "file" ? entry.size : 0;
    if (size <= INLINE_CONTENT_MAX) {
      inline = { bytes: new Uint8Array(size), fill: 0 };
      return { kind: "inline", bytes: inline.bytes };
    }
    inline = undefined;
    const origin = { kind: "layer", layer: layer.index, offset } as const;
    untold = { kind: "external", size: BigInt(size), digests: hasher.begin(size), origin };
    return untold;
  };
  const tar = new TarStream({
    entry: (item) => entries.push(toLayerEntry(item, () => startContent(item))),
    content: (bytes) => {
      if (inline === undefined) {
        const [from, to] = [bytes.byteOffset, bytes.byteOffset + bytes.length];
        tellInline(from);
        if (untold !== undefined) tap?.external(untold);
        untold = undefined;
        toldTo = to;
        hasher.content(slotBytes, from, to);
      } else {
        inline.bytes.set(bytes, inline.fill);
        inline.fill += bytes.length;
      }
    },
  });
  for (;;) {
    const slot = await slots.acquire();
    let kept = true;
    try {
      const size = await source.fill(slot.bytes.subarray(SLOT_HEADROOM));
      if (size === 0) break;
      progress(size);
      jobs.check();
      const filled = slot.bytes.subarray(SLOT_HEADROOM, SLOT_HEADROOM + size);
      slotBytes = slot.bytes as Uint8Array<ArrayBuffer>;
      toldTo = SLOT_HEADROOM;
      tar.push(filled);
      tellInline(SLOT_HEADROOM + size);
      const hashed = [hasher.flush(slot.bytes), ...hashes.map((hash) => hash.update(filled))];
      jobs.add(releaseAfter(slots, slot, hashed));
      kept = false;
    } finally {
      if (kept) slots.release(slot);
    }
    await tap?.drained();
  }
  tar.end();
  await jobs.done();
  await tap?.drained();
  return { entries, size: tar.position };
}

async function releaseAfter(slots: SharedSlots, slot: Slot, jobs: readonly Promise<void>[]): Promise<void> {
  await Promise.allSettled(jobs);
  slots.release(slot);
  await Promise.all(jobs);
}

function requireBlobSize(layer: Layer, found: number): void {
  if (found === layer.size) return;
  throw new VerificationError("layer.blob-size-mismatch", `found ${found} bytes, expected ${layer.size}`, {
    data: { expected: layer.size, found },
  });
}

function requireDigest(code: string, expected: BlobDigest, found: ReadonlySet<string>): void {
  if (found.has(expected)) return;
  const shown = [...found].join(" and ");
  throw new VerificationError(code, `found ${shown}, expected ${expected}`, { data: { expected, found: shown } });
}
