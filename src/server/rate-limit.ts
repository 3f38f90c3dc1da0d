import { PolicyError } from "../lib/errors.ts";

export interface Rate {
  /** Requests at once. */
  readonly burst: number;
  /** Requests in a second in the long run. */
  readonly perSecond: number;
}

/** Callers that are remembered; more than that are forgotten, the oldest first. */
const MAX_CALLERS = 10_000;

/** Counts requests by caller: a bucket of tokens each, which fills by itself. */
export class RateLimit {
  readonly #rate: Rate;
  readonly #now: () => Date;
  readonly #buckets = new Map<string, { tokens: number; at: number }>();

  constructor(rate: Rate, now: () => Date) {
    this.#rate = rate;
    this.#now = now;
  }

  /** @throws {PolicyError} `service.rate-limited` */
  take(caller: string): void {
    const bucket = this.#fill(caller);
    if (bucket.tokens < 1) {
      const seconds = Math.ceil((1 - bucket.tokens) / this.#rate.perSecond);
      throw new PolicyError("service.rate-limited", "too many requests", { hint: `try again in ${seconds} s` });
    }
    bucket.tokens -= 1;
  }

  /** As `take`, without taking. */
  require(caller: string): void {
    const { tokens } = this.#fill(caller);
    if (tokens < 1) throw new PolicyError("service.rate-limited", "too many refused requests");
  }

  #fill(caller: string): { tokens: number; at: number } {
    const now = this.#now().getTime();
    const { burst, perSecond } = this.#rate;
    const before = this.#buckets.get(caller) ?? { tokens: burst, at: now };
    const bucket = { tokens: Math.min(burst, before.tokens + ((now - before.at) / 1000) * perSecond), at: now };
    this.#buckets.delete(caller);
    this.#buckets.set(caller, bucket);
    if (this.#buckets.size > MAX_CALLERS) this.#buckets.delete(this.#buckets.keys().next().value as string);
    return bucket;
  }
}
