import { leavesSize, VERITY_ALGORITHMS, type VerityAlgorithm } from "../../formats/fsverity/index.ts";
import { InputOutputError, InterruptedError } from "../../lib/errors.ts";
import { WorkerJobError, type WorkerPool } from "../../lib/hash/worker-pool.ts";
import { type Progress, silent } from "../../lib/progress.ts";
import type { VerityDigests } from "../tree/tree.ts";
import type { PendingDigests } from "./content-hasher.ts";
import { LeafCollector } from "./leaf-collector.ts";
import { OpenJobs } from "./open-jobs.ts";
import { openVerityPool } from "./verity-pool.ts";
import type { FilesJob, Hashes, ListedFile, RangeHashes, RangeJob } from "./verity-worker.ts";

/** Small files travel together, up to either limit; measured: one file a message costs twice the time. */
const BATCH_FILES = 64;
const BATCH_SIZE = 1 << 20;
/** A larger file is shared out among the workers in parts of this size. */
const RANGE_SIZE = 4 << 20;

export interface DigestFilesOptions {
  /** At least one. */
  readonly algorithms: readonly VerityAlgorithm[];
  readonly signal?: AbortSignal;
  /** Step `files.digest`, in bytes. */
  readonly progress?: Progress;
  readonly pool?: WorkerPool;
}

/**
 * Computes the fs-verity digests of files; the workers read them. Symbolic links are not followed.
 *
 * @param files with the sizes they were listed with
 * @returns digests in the order of `files`
 * @throws {InputOutputError} `tree.file-changed` when a file is not what it was listed as, or changes meanwhile;
 *   `tree.unreadable`
 * @throws {InterruptedError} when `signal` aborts
 */
export async function digestFiles(files: readonly ListedFile[], options: DigestFilesOptions): Promise<VerityDigests[]> {
  const { algorithms, signal, progress = silent } = options;
  await using own = options.pool === undefined ? openVerityPool() : null;
  const pool = (options.pool ?? own) as WorkerPool;
  const total = files.reduce((sum, { size }) => sum + size, 0);
  let done = 0;
  const digests: PendingDigests[] = files.map(() => ({}));
  const jobs = new OpenJobs();
  const start = async (size: number, work: () => Promise<void>): Promise<void> => {
    await jobs.below(3 * pool.size);
    if (signal?.aborted) throw new InterruptedError();
    const counted = async (): Promise<void> => {
      await work().catch(explain);
      done += size;
      progress({ step: "files.digest", text: "hashing files", done, total, unit: "bytes" });
    };
    jobs.add(counted());
  };
  try {
    for (const batch of batches(files)) {
      const first = files[batch[0] as number] as ListedFile;
      if (first.size > RANGE_SIZE) {
        const target = digests[batch[0] as number] as PendingDigests;
        await digestLargeFile(first, target, { pool, algorithms, start });
        continue;
      }
      const job: FilesJob = {
        kind: "files",
        files: batch.map((index) => files[index] as ListedFile),
        algorithms,
      };
      const size = job.files.reduce((sum, file) => sum + file.size, 0);
      await start(size, async () => {
        const hashes = await pool.run<Hashes>(job);
        let at = 0;
        for (const index of batch) {
          for (const algorithm of algorithms) {
            const end = at + VERITY_ALGORITHMS[algorithm].digestSize;
            (digests[index] as PendingDigests)[algorithm] = hashes.slice(at, end);
            at = end;
          }
        }
      });
    }
    await jobs.done();
  } finally {
    await jobs.settled();
  }
  return digests;
}

/** Indices of files that go in one message; a large file is alone. */
function* batches(files: readonly { readonly size: number }[]): Generator<number[]> {
  let batch: number[] = [];
  let size = 0;
  for (const [index, file] of files.entries()) {
    if (batch.length === BATCH_FILES || (batch.length > 0 && size + file.size > BATCH_SIZE)) {
      yield batch;
      batch = [];
      size = 0;
    }
    batch.push(index);
    size += file.size;
  }
  if (batch.length > 0) yield batch;
}

interface LargeFileContext {
  readonly pool: WorkerPool;
  readonly algorithms: readonly VerityAlgorithm[];
  readonly start: (size: number, work: () => Promise<void>) => Promise<void>;
}

async function digestLargeFile(
  { path, size }: ListedFile,
  target: PendingDigests,
  { pool, algorithms, start }: LargeFileContext,
): Promise<void> {
  const collectors = algorithms.map((algorithm) => [algorithm, new LeafCollector(algorithm)] as const);
  let identity: string | undefined;
  let before: Promise<void> = Promise.resolve();
  for (let from = 0; from < size; from += RANGE_SIZE) {
    const to = Math.min(size, from + RANGE_SIZE);
    const job: RangeJob = { kind: "range", path, size, from, to, algorithms };
    const earlier = before;
    const { promise, resolve } = Promise.withResolvers<void>();
    before = promise;
    await start(to - from, async () => {
      try {
        const [range] = await Promise.all([pool.run<RangeHashes>(job), earlier]);
        identity ??= range.identity;
        if (range.identity !== identity) throw fileChanged(`${String(path)} changed while it was read`);
        let at = 0;
        for (const [algorithm, collector] of collectors) {
          const end = at + leavesSize(to - from, algorithm);
          collector.add(range.hashes.subarray(at, end));
          at = end;
        }
        if (to === size) for (const [algorithm, collector] of collectors) target[algorithm] = collector.digest(size);
      } finally {
        resolve();
      }
    });
  }
}

function fileChanged(message: string): InputOutputError {
  return new InputOutputError("tree.file-changed", message);
}

/** An error of a worker as one of ours. */
function explain(error: unknown): never {
  const { code, message } = error as WorkerJobError;
  if (error instanceof WorkerJobError && code === "tree.file-changed") throw fileChanged(message);
  if (typeof code === "string" && /^E[A-Z]+$/.test(code)) {
    throw new InputOutputError("tree.unreadable", message, { cause: error, data: { code } });
  }
  throw error;
}
