import type { SigningDesk } from "../actions/signer-service/desk.ts";
import type { Log } from "../actions/signer-service/log.ts";
import type { SigningQueue } from "../model/signing-queue/index.ts";
import type { PageFile } from "./page-files.ts";
import type { Watcher } from "./watcher.ts";

/** What answering a request needs. */
export interface Service {
  readonly queue: SigningQueue;
  readonly desk: SigningDesk;
  readonly watcher: Watcher;
  readonly log: Log;
  readonly now: () => Date;
  /** Tells the worker and the watcher that something has changed. */
  readonly changed: () => void;
  /** How long a request waits for its approvals. */
  readonly lifetimeMs: number;
  /** False on plain HTTP, which is for this machine alone. */
  readonly tls: boolean;
  readonly page: ReadonlyMap<string, PageFile>;
}
