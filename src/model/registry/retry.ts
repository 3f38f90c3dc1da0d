/** When to ask again, and when to give up. */
import { setTimeout as wait } from "node:timers/promises";
import { InterruptedError, RegistryError } from "../../lib/errors.ts";
import { throwIfInterrupted } from "../host-io/interrupt.ts";

/** Time and chance, which come in at the doors. */
export interface Pacing {
  /** Milliseconds since the epoch. */
  now(): number;
  /** From 0 up to but not 1: spreads the next attempts of many machines that failed together. */
  random(): number;
  /** Milliseconds of silence after which a connection counts as dropped; absent, a minute. */
  readonly silenceMs?: number;
  /** Waits; absent, the real time passes. */
  sleep?(ms: number, signal?: AbortSignal): Promise<void>;
}

/** Attempts at one thing, the first included. */
export const MAX_ATTEMPTS = 6;

const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 15_000;

/** A registry that wants us to wait longer than this is told to the user instead. */
const LONGEST_RETRY_AFTER_MS = 120_000;

/**
 * Counts failures and waits between them: a quarter of a second, doubled each time, half of it by chance, or as long as
 * the registry said.
 */
export class Attempts {
  readonly #pacing: Pacing;
  readonly #signal: AbortSignal | undefined;
  #failures = 0;

  constructor(pacing: Pacing, signal?: AbortSignal) {
    this.#pacing = pacing;
    this.#signal = signal;
  }

  get failures(): number {
    return this.#failures;
  }

  /** There was progress: what failed before does not count any more. */
  reset(): void {
    this.#failures = 0;
  }

  /** @throws the error itself when it is no temporary one, or one too many */
  async afterFailure(error: unknown): Promise<void> {
    throwIfInterrupted(this.#signal);
    this.#failures += 1;
    if (!(error instanceof RegistryError) || !error.temporary || this.#failures >= MAX_ATTEMPTS) throw error;
    const asked = error.data["retryAfterMs"];
    if (typeof asked === "number" && asked > LONGEST_RETRY_AFTER_MS) throw error;
    await sleep(typeof asked === "number" ? asked : this.#delay(), { pacing: this.#pacing, signal: this.#signal });
  }

  #delay(): number {
    const full = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (this.#failures - 1));
    return full * (0.5 + this.#pacing.random() / 2);
  }
}

/** @throws {InterruptedError} */
export async function sleep(
  ms: number,
  { pacing, signal }: { readonly pacing: Pacing; readonly signal: AbortSignal | undefined },
): Promise<void> {
  try {
    if (pacing.sleep !== undefined) await pacing.sleep(ms, signal);
    else await wait(ms, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    if (signal?.aborted === true) throw new InterruptedError();
    throw error;
  }
}
