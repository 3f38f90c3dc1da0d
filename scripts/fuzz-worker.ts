import { Session } from "node:inspector";
import { parentPort, workerData } from "node:worker_threads";
import { mutate } from "../test/fuzz/mutate.ts";
import { FUZZ_TARGETS, type FuzzTarget, isRefusal } from "../test/fuzz/targets.ts";
import { generator, type Random } from "../test/random.ts";

/** Largest input; a disk image is the largest. */
export const CURRENT_MAX = 64 << 20;
/** Inputs between two looks at the coverage: a look costs about as much as fifty of them. */
const BATCH = 64;
/** What is kept in memory of what was found; the rest is on disk for the next run. */
const KEPT_MAX = 2000;
/** Inputs above this size are not kept: they are images, and mutated from the seeds again. */
const KEPT_SIZE = 200_000;

export interface FuzzWork {
  readonly target: string;
  readonly seed: number;
  /** When to stop, in milliseconds since 1970. */
  readonly end: number;
  readonly kept: readonly Uint8Array[];
  /** Inputs so far, and the size of the current one. */
  readonly counter: Int32Array;
  /** The current input, for when this worker cannot say. */
  readonly current: Uint8Array;
}

export interface FuzzReport {
  readonly runs: number;
  readonly novel: readonly Uint8Array[];
  readonly crash?: { readonly reason: string; readonly input: Uint8Array };
}

/** Which blocks of our code were run since the last question, by V8's precise coverage. */
class Coverage {
  readonly #session = new Session();
  readonly #seen = new Set<string>();

  constructor() {
    this.#session.connect();
    this.#session.post("Profiler.enable");
    this.#session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  }

  /**
   * @param remember counts what ran as seen
   * @returns whether a block was run that is not yet seen
   */
  isNovel(remember = true): boolean {
    let novel = false;
    this.#session.post("Profiler.takePreciseCoverage", (error, answer) => {
      if (error !== null) throw new Error(error.message);
      for (const { url, functions } of answer.result) {
        if (!url.includes("/src/")) continue;
        for (const { ranges } of functions) {
          for (const { startOffset, endOffset, count } of ranges) {
            const key = `${url}:${startOffset}:${endOffset}:${Math.min(count, 2)}`;
            if (count === 0 || this.#seen.has(key)) continue;
            if (remember) this.#seen.add(key);
            novel = true;
          }
        }
      }
    });
    return novel;
  }
}

if (parentPort !== null) parentPort.postMessage(await work(workerData as FuzzWork));

async function work({ target: name, seed, end, kept, counter, current }: FuzzWork): Promise<FuzzReport> {
  const target = FUZZ_TARGETS.find((one) => one.name === name) as FuzzTarget;
  const corpus = [...(await target.corpus()), ...kept];
  const random = generator(seed);
  const coverage = new Coverage();
  const novel: Uint8Array[] = [];
  const tryOne = (input: Uint8Array): string | undefined => {
    current.set(input.subarray(0, CURRENT_MAX));
    counter[1] = input.length;
    counter[0] = (counter[0] ?? 0) + 1;
    return failureOf(target, input);
  };
  for (const input of corpus) {
    const reason = tryOne(input);
    if (reason !== undefined) return { runs: counter[0] ?? 0, novel, crash: { reason, input } };
  }
  coverage.isNovel();
  while (Date.now() < end) {
    const batch = nextBatch(random, corpus);
    for (const input of batch) {
      const reason = tryOne(input);
      if (reason === undefined) continue;
      const smallest = minimize(input, (smaller) => tryOne(smaller)?.split("\n")[1] === reason.split("\n")[1]);
      return { runs: counter[0] ?? 0, novel, crash: { reason, input: smallest } };
    }
    if (!coverage.isNovel(false)) continue;
    // Some of the batch are new: a second time, one by one, says which.
    for (const input of batch) {
      tryOne(input);
      if (!coverage.isNovel() || input.length > KEPT_SIZE) continue;
      if (corpus.length < KEPT_MAX) corpus.push(input);
      novel.push(input);
    }
  }
  return { runs: counter[0] ?? 0, novel };
}

function nextBatch(random: Random, corpus: readonly Uint8Array[]): Uint8Array[] {
  return Array.from({ length: BATCH }, () => mutate(random, corpus));
}

function failureOf(target: FuzzTarget, input: Uint8Array): string | undefined {
  try {
    target.run(input);
  } catch (error) {
    if (!isRefusal(error)) return String((error as Error).stack);
  }
  return undefined;
}

/** Takes out stretches, ever smaller ones, as long as the failure stays. */
function minimize(input: Uint8Array, fails: (smaller: Uint8Array) => boolean): Uint8Array {
  let smallest = Buffer.from(input);
  const until = Date.now() + 10_000;
  for (let size = smallest.length >> 1; size > 0; size >>= 1) {
    for (let at = 0; at < smallest.length && Date.now() < until; ) {
      const smaller = Buffer.concat([smallest.subarray(0, at), smallest.subarray(at + size)]);
      if (fails(smaller)) smallest = smaller;
      else at += size;
    }
  }
  return smallest;
}
