import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { InterruptedError } from "../errors.ts";
import type { WorkerAnswer, WorkerRequest } from "./serve.ts";

/** Jobs handed to one worker at a time: one runs, one waits, so that no worker waits for this thread. */
const DEPTH = 2;

interface Task {
  readonly job: unknown;
  readonly resolve: (result: never) => void;
  readonly reject: (error: unknown) => void;
}

interface Lane {
  readonly worker: Worker;
  /** Jobs that only this worker may do, in order. */
  readonly own: Task[];
  readonly running: Map<number, Task>;
}

/**
 * A fixed number of worker threads that answer jobs.
 *
 * Send about 1 MiB or 64 files of work in one job: a message costs some 50 µs. Buffers of results should lie on
 * `SharedArrayBuffer`s that travel in the job. The workers do not keep the process alive while they have nothing to do.
 *
 * @example
 * await using pool = new WorkerPool(workerUrl("./verity-worker", import.meta.url));
 * const leaves = await pool.run<Uint8Array>({ path, from, to });
 */
export class WorkerPool implements AsyncDisposable {
  readonly #lanes: Lane[];
  readonly #shared: Task[] = [];
  #nextId = 0;
  #nextLane = 0;
  #failure: Error | undefined;

  /** @param program a module that calls `serve()` */
  constructor(program: URL, size: number = availableParallelism()) {
    this.#lanes = Array.from({ length: size }, () => this.#start(program));
  }

  get size(): number {
    return this.#lanes.length;
  }

  /** A worker for a job that keeps state between messages: pass it to every `run` of that job. */
  pickLane(): number {
    return this.#nextLane++ % this.#lanes.length;
  }

  /**
   * Does a job in whichever worker is free, or, with a lane, in that worker and in the order of the calls.
   *
   * Jobs wait without limit: the caller bounds how many it has open.
   *
   * @throws {WorkerJobError} what the program threw, as far as it can travel
   */
  run<Result>(job: unknown, lane?: number): Promise<Result> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise<Result>((resolve, reject) => {
      const queue = lane === undefined ? this.#shared : (this.#lanes[lane] as Lane).own;
      queue.push({ job, resolve, reject });
      this.#dispatch();
    });
  }

  /** Stops the workers at once; open jobs are rejected with an `InterruptedError`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#fail(new InterruptedError());
    await Promise.all(this.#lanes.map(({ worker }) => worker.terminate()));
  }

  #start(program: URL): Lane {
    // Flags of this process (`--input-type`, loaders) are not meant for the program.
    const worker = new Worker(program, { execArgv: [] });
    const lane: Lane = { worker, own: [], running: new Map() };
    worker.on("message", ({ id, result, error }: WorkerAnswer) => {
      const task = lane.running.get(id);
      lane.running.delete(id);
      if (lane.running.size === 0) worker.unref();
      if (error === undefined) task?.resolve(result as never);
      else task?.reject(new WorkerJobError(error));
      this.#dispatch();
    });
    worker.on("error", (error) => this.#fail(error));
    worker.on("exit", (status) => this.#fail(new Error(`a worker stopped with status ${status}`)));
    worker.unref();
    return lane;
  }

  #dispatch(): void {
    for (const lane of this.#lanes) {
      while (lane.running.size < DEPTH && lane.own.length > 0) this.#send(lane, lane.own.shift() as Task);
    }
    while (this.#shared.length > 0) {
      const lane = this.#lanes.reduce((least, other) => (other.running.size < least.running.size ? other : least));
      if (lane.running.size >= DEPTH) return;
      this.#send(lane, this.#shared.shift() as Task);
    }
  }

  #send({ worker, running }: Lane, task: Task): void {
    const id = this.#nextId++;
    if (running.size === 0) worker.ref();
    running.set(id, task);
    worker.postMessage({ id, job: task.job } satisfies WorkerRequest);
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    const open = [
      ...this.#shared.splice(0),
      ...this.#lanes.flatMap((lane) => [...lane.own.splice(0), ...lane.running.values()]),
    ];
    for (const lane of this.#lanes) lane.running.clear();
    for (const { reject } of open) reject(this.#failure);
  }
}

/** What a worker's program threw. */
export class WorkerJobError extends Error {
  /** Of the system error (`ENOENT`) or our cause code, when there was one. */
  readonly code: string | undefined;

  constructor({ message, code }: { message: string; code?: string }) {
    super(message);
    this.name = "WorkerJobError";
    this.code = code;
  }
}
