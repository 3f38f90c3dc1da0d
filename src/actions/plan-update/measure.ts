import { availableParallelism } from "node:os";
import type { ByteString } from "../../lib/bytes/byte-string.ts";
import { type Progress, silent } from "../../lib/progress.ts";
import { encodeSegment, planDelta } from "../../lib/streams/delta.ts";
import { throwIfInterrupted } from "../../model/host-io/interrupt.ts";
import type { ReadPart } from "./contents.ts";
import type { StoredObject } from "./objects.ts";

/** A new object, and the old file that it is a change of. */
export interface ObjectPair {
  readonly object: StoredObject;
  readonly base: StoredObject | undefined;
}

/** Bytes of a new object in each way; the delta is never more than what it has compressed. */
export interface MeasuredPair extends ObjectPair {
  readonly compressed: number;
  readonly delta: number;
}

export interface MeasureOptions {
  readonly readNew: ReadPart;
  readonly readOld: ReadPart;
  readonly signal?: AbortSignal | undefined;
  readonly progress: Progress;
}

/** Files at a time; each holds a segment, a dictionary and zstd's tables: some 100 MiB at most. */
const PARALLEL = Math.min(4, availableParallelism());

const NOTHING = new Uint8Array();

/** Compresses every object, once alone and once with the old file at hand; what comes out is counted and dropped. */
export async function measurePairs(pairs: readonly ObjectPair[], options: MeasureOptions): Promise<MeasuredPair[]> {
  const { progress, signal } = options;
  const total = pairs.reduce((sum, { object }) => sum + object.size, 0);
  let done = 0;
  const measured: MeasuredPair[] = [];
  const queue = pairs.entries();
  const work = async (): Promise<void> => {
    for (const [index, pair] of queue) {
      throwIfInterrupted(signal);
      measured[index] = { ...pair, ...(await measurePair(pair, options)) };
      done += pair.object.size;
      progress({ step: "update.measure", text: "measuring deltas", done, total, unit: "bytes" });
    }
  };
  const results = await Promise.allSettled(Array.from({ length: PARALLEL }, work));
  const failure = results.find((result) => result.status === "rejected");
  if (failure !== undefined) throw failure.reason;
  return measured;
}

async function measurePair(
  { base, object }: ObjectPair,
  { readNew, readOld }: MeasureOptions,
): Promise<{ readonly compressed: number; readonly delta: number }> {
  let [compressed, delta] = [0, 0];
  for (const { dictionaryFrom, dictionaryTo, from, to } of planDelta(object.size, base?.size)) {
    const bytes = await readNew(object.content, from, to);
    const alone = (await encodeSegment(bytes, NOTHING)).length;
    compressed += alone;
    if (base === undefined) {
      delta += alone;
      continue;
    }
    const dictionary = await readOld(base.content, dictionaryFrom, dictionaryTo);
    delta += Math.min(alone, (await encodeSegment(bytes, dictionary)).length);
  }
  return { compressed, delta };
}

/** The same for bytes in memory. */
export async function measureBytes(bytes: Uint8Array, old: Uint8Array): Promise<{ compressed: number; delta: number }> {
  const pair = { object: inMemory(bytes), base: inMemory(old) };
  return await measurePair(pair, { readNew: readInline, readOld: readInline, progress: silent });
}

const inMemory = (bytes: Uint8Array): StoredObject => ({
  path: "" as ByteString,
  content: { kind: "inline", bytes },
  size: bytes.length,
});

const readInline: ReadPart = (content, from, to) =>
  Promise.resolve(content.kind === "inline" ? content.bytes.subarray(from, to) : NOTHING);
