/** Tells listeners what changes in the queue, whichever server or program changed it. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Log } from "../actions/signer-service/log.ts";
import { listRequests, type SigningQueue } from "../model/signing-queue/index.ts";
import type { ChangeEvent } from "../model/signing-service/index.ts";

/** How late a change by another process is seen, at most. */
const POLL_MS = 1000;

/** The newest ones; older ones do not change any more, or nobody looks at them. */
const WATCHED = 500;

type Listener = (change: ChangeEvent) => void;

export class Watcher {
  readonly #queue: SigningQueue;
  readonly #log: Log;
  readonly #listeners = new Set<Listener>();
  #known: Map<string, number> | undefined;
  #wake = new AbortController();

  constructor(queue: SigningQueue, log: Log) {
    this.#queue = queue;
    this.#log = log;
  }

  /** @returns ends the listening */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    this.nudge();
    return () => this.#listeners.delete(listener);
  }

  /** Something has changed: look now. */
  nudge(): void {
    this.#wake.abort();
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#wake = new AbortController();
      const pause = sleep(POLL_MS, undefined, { signal: AbortSignal.any([signal, this.#wake.signal]) });
      try {
        await this.#look();
      } catch (error) {
        this.#log.fault("watcher", error);
      }
      await pause.catch(() => undefined);
    }
  }

  /** Nobody listens: nothing is asked, and what is found later is taken as it is. */
  async #look(): Promise<void> {
    if (this.#listeners.size === 0) {
      this.#known = undefined;
      return;
    }
    const requests = await listRequests(this.#queue, { limit: WATCHED });
    const known = this.#known;
    this.#known = new Map(requests.map(({ id, revision }) => [id, revision]));
    if (known === undefined) return;
    for (const { id, revision, state } of requests) {
      if (known.get(id) === revision) continue;
      for (const listener of this.#listeners) listener({ id, state, revision });
    }
  }
}
