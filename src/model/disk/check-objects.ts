import { availableParallelism } from "node:os";
import { readInode } from "../../formats/ext4/index.ts";
import { InterruptedError } from "../../lib/errors.ts";
import { WorkerPool } from "../../lib/hash/worker-pool.ts";
import { workerUrl } from "../../lib/hash/worker-url.ts";
import { type Progress, silent } from "../../lib/progress.ts";
import { OpenJobs } from "../layer/open-jobs.ts";
import {
  attempt,
  checkFile,
  type FileCheck,
  type RangeCheck,
  type RootVolume,
  type Unreadable,
} from "./check-merkle.ts";
import type { FilesJob, RangeJob, RootPlace } from "./object-worker.ts";
import type { StoredObject } from "./stored-repository.ts";

/** A file to be checked. */
export type ListedObject = Pick<StoredObject, "algorithm" | "inode">;

export interface CheckOptions {
  readonly signal?: AbortSignal | undefined;
  /** Step `disk.objects`, in bytes. */
  readonly progress?: Progress | undefined;
}

/** Small files travel together, up to either limit. */
const BATCH_FILES = 64;
const BATCH_SIZE = 1 << 20;
/** A larger file is shared out among the workers in parts of this size. */
const RANGE_SIZE = 4 << 20;
const WORKERS_MAX = 16;

/**
 * Recomputes the fs-verity digest of files on a disk and compares what is stored beside them; workers read and hash.
 *
 * Holds one range a worker, and 1/4096 of the largest file.
 *
 * @param onCheck is called once for each of `objects`, with its index, in any order
 * @throws {InterruptedError} when `signal` aborts
 */
export async function checkObjects(
  place: RootPlace,
  root: RootVolume,
  objects: readonly ListedObject[],
  onCheck: (index: number, check: FileCheck | Unreadable) => void,
  { progress = silent, signal }: CheckOptions = {},
): Promise<void> {
  const program = workerUrl("./object-worker", import.meta.url);
  await using pool = new WorkerPool(program, Math.min(WORKERS_MAX, availableParallelism()));
  const total = objects.reduce((sum, { inode }) => sum + inode.size, 0);
  let done = 0;
  const jobs = new OpenJobs();
  const start = async (size: number, work: () => Promise<void>): Promise<void> => {
    await jobs.below(3 * pool.size);
    if (signal?.aborted) throw new InterruptedError();
    const counted = async (): Promise<void> => {
      await work();
      done += size;
      progress({ step: "disk.objects", text: "checking objects", done, total, unit: "bytes" });
    };
    jobs.add(counted());
  };

  const startLarge = async (index: number, { algorithm, inode: { ino, size } }: ListedObject): Promise<void> => {
    const ranges: (RangeCheck | Unreadable)[] = [];
    let left = Math.ceil(size / RANGE_SIZE);
    for (let from = 0; from < size; from += RANGE_SIZE) {
      const to = Math.min(size, from + RANGE_SIZE);
      const job: RangeJob = { kind: "range", root: place, ino, algorithm, from, to };
      await start(to - from, async () => {
        ranges[from / RANGE_SIZE] = await pool.run<RangeCheck | Unreadable>(job);
        if (--left > 0) return;
        const unreadable = ranges.find((range) => "code" in range);
        const complete = () => checkFile(root, readInode(root.volume, ino), algorithm, ranges as RangeCheck[]);
        onCheck(index, unreadable ?? attempt(complete));
      });
    }
  };

  try {
    for (const batch of batches(objects)) {
      const [index, first] = batch[0] as [number, ListedObject];
      if (first.inode.size > RANGE_SIZE) {
        await startLarge(index, first);
        continue;
      }
      const files = batch.map(([, { algorithm, inode }]) => ({ algorithm, ino: inode.ino }));
      const job: FilesJob = { kind: "files", root: place, files };
      await start(
        batch.reduce((sum, [, { inode }]) => sum + inode.size, 0),
        async () => {
          const answers = await pool.run<(FileCheck | Unreadable)[]>(job);
          for (const [at, answer] of answers.entries()) onCheck((batch[at] as [number, ListedObject])[0], answer);
        },
      );
    }
    await jobs.done();
  } finally {
    await jobs.settled();
  }
}

/** Files with their indices that go in one message; a large one is alone. */
function* batches(objects: readonly ListedObject[]): Generator<[number, ListedObject][]> {
  let batch: [number, ListedObject][] = [];
  let size = 0;
  for (const [index, object] of objects.entries()) {
    if (batch.length === BATCH_FILES || (batch.length > 0 && size + object.inode.size > BATCH_SIZE)) {
      yield batch;
      batch = [];
      size = 0;
    }
    batch.push([index, object]);
    size += object.inode.size;
  }
  if (batch.length > 0) yield batch;
}
