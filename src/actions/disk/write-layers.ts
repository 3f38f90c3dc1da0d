/** One pass over each layer: contents go to their places on the disk and to the workers that hash them. */
import { encodeVerityMetadata } from "../../formats/ext4/index.ts";
import { leavesSize, VERITY_BLOCK_SIZE, type VerityAlgorithm } from "../../formats/fsverity/index.ts";
import { FormatError, InterruptedError, SealwrightError } from "../../lib/errors.ts";
import { SharedSlots, type Slot } from "../../lib/hash/shared-slots.ts";
import type { WorkerPool } from "../../lib/hash/worker-pool.ts";
import { type Progress, silent } from "../../lib/progress.ts";
import { decompress } from "../../lib/streams/decompress.ts";
import type { Layer } from "../../model/image/image.ts";
import { OpenJobs } from "../../model/layer/open-jobs.ts";
import type { PiecesJob } from "../../model/layer/verity-worker.ts";
import type { LayerObject } from "../../model/repository/index.ts";
import type { Places } from "./place-list.ts";

export interface WriteLayersOptions {
  readonly algorithm: VerityAlgorithm;
  readonly pool: WorkerPool;
  readonly placesOf: (object: LayerObject) => Places;
  readonly verityPlacesOf: (object: LayerObject) => Places;
  /** Writes by position; many at a time. */
  readonly write: (offset: number, bytes: Uint8Array) => Promise<void>;
  readonly signal?: AbortSignal | undefined;
  /** Step `disk.write`, in bytes of objects. */
  readonly progress?: Progress | undefined;
}

/** Bytes that go to a worker at a time. */
const SLOT_SIZE = 1 << 20;

/**
 * Writes every object that is in a layer, with its Merkle tree. Layers are read in parallel, each as far as its last
 * object; memory is bounded by the number of workers, whatever the size of a layer.
 *
 * @throws {VerificationError} `content.digest-mismatch`: a layer is not what it was when it was scanned
 * @throws {FormatError} `content.truncated`; the refusals of `decompress`
 */
export async function writeLayerObjects(
  layers: readonly Layer[],
  objects: Iterable<LayerObject>,
  options: WriteLayersOptions,
): Promise<void> {
  const { pool, progress = silent, signal } = options;
  const byLayer = Map.groupBy(objects, ({ layer }) => layer);
  const queue = layers.filter(({ index }) => byLayer.has(index)).sort((a, b) => b.size - a.size);
  const parallel = Math.min(queue.length, pool.size);
  const slots = new SharedSlots(parallel + 2 * pool.size, SLOT_SIZE);
  const total = [...byLayer.values()].flat().reduce((sum, { size }) => sum + size, 0);
  let done = 0;
  const stop = new AbortController();
  const wrote = (bytes: number): void => {
    if (signal?.aborted === true || stop.signal.aborted) throw new InterruptedError();
    done += bytes;
    progress({ step: "disk.write", text: "writing objects", done, total, unit: "bytes" });
  };
  const work = async (): Promise<void> => {
    for (let layer = queue.shift(); layer !== undefined; layer = queue.shift()) {
      const inOrder = (byLayer.get(layer.index) as LayerObject[]).sort((a, b) => a.offset - b.offset);
      await writeLayer(layer, inOrder, new SlotWriter(slots, options, wrote));
    }
  };
  const results = await Promise.allSettled(
    Array.from({ length: parallel }, () =>
      work().catch((error: unknown) => {
        stop.abort(); // the others stop at their next slot
        throw error;
      }),
    ),
  );
  const failures = results.filter((result) => result.status === "rejected").map(({ reason }) => reason as unknown);
  const failure = failures.find((error) => !(error instanceof InterruptedError)) ?? failures[0];
  if (failure !== undefined) throw failure;
}

/** @param objects by their offsets; they do not overlap */
async function writeLayer(layer: Layer, objects: readonly LayerObject[], writer: SlotWriter): Promise<void> {
  try {
    let position = 0;
    let next = 0;
    for await (const chunk of decompress(layer.open(), layer.compression)) {
      for (let at = 0; next < objects.length; ) {
        const object = objects[next] as LayerObject;
        const start = Math.max(at, object.offset - position);
        if (start >= chunk.length) break;
        at = Math.min(chunk.length, object.offset + object.size - position);
        await writer.add(object, chunk.subarray(start, at));
        if (object.offset + object.size > position + chunk.length) break;
        next++;
      }
      position += chunk.length;
      if (next === objects.length) break;
    }
    if (next < objects.length) {
      const what = `layer ${layer.index}`;
      throw new FormatError("content.truncated", {
        what,
        offset: position,
        expected: `content at byte ${objects[next]?.offset}`,
        found: "the end",
      });
    }
    await writer.flush();
    await writer.done();
  } catch (error) {
    if (error instanceof SealwrightError && !(error instanceof InterruptedError)) {
      error.message = `layer ${layer.index} (${layer.digest}): ${error.message}`;
    }
    throw error;
  } finally {
    await writer.settled(); // its jobs use the slots
  }
}

/** A run of an object in a slot, from one of the object's blocks on. */
interface Run {
  readonly object: LayerObject;
  /** Offset in the object. */
  readonly at: number;
  /** In the slot. */
  readonly from: number;
  to: number;
  /** How far it can grow. */
  readonly end: number;
}

/** Gathers contents in shared buffers; a full one is hashed and written at the same time. */
class SlotWriter {
  readonly #slots: SharedSlots;
  readonly #options: WriteLayersOptions;
  readonly #wrote: (bytes: number) => void;
  readonly #jobs = new OpenJobs();
  #slot: Slot | undefined;
  #fill = 0;
  #runs: Run[] = [];
  /** Bytes of the current object that were added. */
  #seen = 0;

  constructor(slots: SharedSlots, options: WriteLayersOptions, wrote: (bytes: number) => void) {
    this.#slots = slots;
    this.#options = options;
    this.#wrote = wrote;
  }

  /** @param bytes the next ones of the object */
  async add(object: LayerObject, bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const run = await this.#runFor(object);
      const part = bytes.subarray(done, done + run.end - run.to);
      (this.#slot as Slot).bytes.set(part, run.to);
      run.to += part.length;
      this.#fill = run.to;
      this.#seen += part.length;
      done += part.length;
      if (this.#seen === object.size) this.#seen = 0;
      else if (run.to === run.end) await this.flush();
    }
  }

  async #runFor(object: LayerObject): Promise<Run> {
    const last = this.#runs.at(-1);
    if (last?.object === object) return last;
    const left = object.size - this.#seen;
    if (SLOT_SIZE - this.#fill < Math.min(left, VERITY_BLOCK_SIZE)) await this.flush();
    this.#slot ??= await this.#slots.acquire();
    const from = this.#fill;
    const room = SLOT_SIZE - from;
    // A run that does not end its object ends with a block.
    const end = from + (left <= room ? left : room - (room % VERITY_BLOCK_SIZE));
    const run = { object, at: this.#seen, from, to: from, end };
    this.#runs.push(run);
    return run;
  }

  async flush(): Promise<void> {
    const slot = this.#slot;
    if (slot === undefined) return;
    const runs = this.#runs;
    this.#slot = undefined;
    this.#fill = 0;
    this.#runs = [];
    this.#jobs.add(this.#finish(slot, runs));
    this.#wrote(runs.reduce((sum, { from, to }) => sum + to - from, 0));
    this.#jobs.check();
    await this.#jobs.below(2 * this.#options.pool.size);
  }

  done(): Promise<void> {
    return this.#jobs.done();
  }

  settled(): Promise<void> {
    return this.#jobs.settled();
  }

  async #finish(slot: Slot, runs: readonly Run[]): Promise<void> {
    const work = [this.#hash(slot, runs), this.#store(slot, runs)];
    await Promise.allSettled(work);
    this.#slots.release(slot);
    await Promise.all(work);
  }

  async #hash(slot: Slot, runs: readonly Run[]): Promise<void> {
    const { algorithm, pool, verityPlacesOf, write } = this.#options;
    const pieces = runs.map(({ from, to }) => ({ from, to, whole: false }));
    const job: PiecesJob = { kind: "pieces", bytes: slot.bytes, pieces, algorithms: [algorithm] };
    const hashes = await pool.run<Uint8Array>(job);
    let at = 0;
    for (const run of runs) {
      const size = run.to - run.from;
      const end = at + leavesSize(size, algorithm);
      const verity = run.object.addLeaves(hashes.subarray(at, end), run.at, size);
      at = end;
      if (verity === undefined) continue;
      const metadata = encodeVerityMetadata(verity.tree, verity.descriptor);
      for (const { from, offset, size: length } of verityPlacesOf(run.object)) {
        await write(offset, metadata.subarray(from, from + length));
      }
    }
  }

  async #store(slot: Slot, runs: readonly Run[]): Promise<void> {
    const { placesOf, write } = this.#options;
    for (const { at, from, object, to } of runs) {
      for (const place of placesOf(object)) {
        const first = Math.max(at, place.from);
        const end = Math.min(at + to - from, place.from + place.size);
        if (first < end) {
          await write(place.offset + first - place.from, slot.bytes.subarray(from + first - at, from + end - at));
        }
      }
    }
  }
}
