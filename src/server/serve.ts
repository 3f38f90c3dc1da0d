import { once } from "node:events";
import type { SigningDesk } from "../actions/signer-service/desk.ts";
import { createLog } from "../actions/signer-service/log.ts";
import { SigningWorker } from "../actions/signer-service/worker.ts";
import { openSigningQueue, type SigningQueue } from "../model/signing-queue/index.ts";
import { createApp } from "./app.ts";
import { createListener, type ListenOptions } from "./listen.ts";
import { loadPageFiles } from "./page-files.ts";
import { Watcher } from "./watcher.ts";

export interface ServeOptions extends ListenOptions {
  /** Path of an SQLite file, or `postgres://…`. */
  readonly queue: string;
  readonly openDesk: (queue: SigningQueue) => Promise<SigningDesk>;
  readonly lifetimeMs: number;
  /** Unlike that of every other server on the same queue. */
  readonly owner: string;
  readonly leaseMs?: number;
  readonly now: () => Date;
  /** Takes one line of the log. */
  readonly write: (line: string) => void;
  readonly verbose?: boolean;
  /** Stops the service: requests end, the job at hand is given back. */
  readonly signal: AbortSignal;
  readonly onListening?: (url: string) => void;
}

/** Runs the signing service until the signal. */
export async function serveSigning(options: ServeOptions): Promise<void> {
  const { lifetimeMs, now, owner, signal } = options;
  const log = createLog(options.write, { now, verbose: options.verbose ?? false });
  const listener = createListener(options);
  await using queue = await openSigningQueue(options.queue);
  await using desk = await options.openDesk(queue);
  const page = await loadPageFiles();
  const watcher = new Watcher(queue, log);
  const { leaseMs } = options;
  const worker = new SigningWorker({ queue, desk, owner, now, log, ...(leaseMs === undefined ? {} : { leaseMs }) });
  const changed = (): void => {
    worker.nudge();
    watcher.nudge();
  };
  const tls = options.tls !== undefined;
  const app = createApp({ queue, desk, watcher, log, now, changed, lifetimeMs, tls, page }, signal);
  const server = await listener.listen((request, env) => app.fetch(request, env));
  log.info("listening", { url: server.url, queue: queue.dialect });
  options.onListening?.(server.url);
  await Promise.all([worker.run(signal), watcher.run(signal), untilAborted(signal).then(() => server.close())]);
  log.info("stopped");
}

async function untilAborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, "abort");
}
