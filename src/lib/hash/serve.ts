import { parentPort } from "node:worker_threads";

export interface WorkerRequest {
  readonly id: number;
  readonly job: unknown;
}

export interface WorkerAnswer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: { readonly message: string; readonly code?: string };
}

/** The body of a worker's program: answers each job of a `WorkerPool` in the order they came. */
export function serve(answer: (job: never) => unknown): void {
  parentPort?.on("message", ({ id, job }: WorkerRequest) => {
    try {
      parentPort?.postMessage({ id, result: answer(job as never) } satisfies WorkerAnswer);
    } catch (thrown) {
      const { message, code } = thrown as { message: string; code?: string };
      const error = { message, ...(code === undefined ? {} : { code }) };
      parentPort?.postMessage({ id, error } satisfies WorkerAnswer);
    }
  });
}
