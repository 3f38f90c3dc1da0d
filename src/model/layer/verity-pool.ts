import { availableParallelism } from "node:os";
import { WorkerPool } from "../../lib/hash/worker-pool.ts";
import { workerUrl } from "../../lib/hash/worker-url.ts";

/** More workers than this wait for the one thread that feeds them, and each costs some 10 MiB. */
const WORKERS_MAX = 16;

/** Opens the workers that `scanLayers` and `digestFiles` hash in; share one between calls. */
export function openVerityPool(size: number = Math.min(WORKERS_MAX, availableParallelism())): WorkerPool {
  return new WorkerPool(workerUrl("./verity-worker", import.meta.url), size);
}
