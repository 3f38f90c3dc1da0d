import type { SharedSlots, Slot } from "../../lib/hash/shared-slots.ts";
import type { WorkerPool } from "../../lib/hash/worker-pool.ts";
import type { UpdateJob } from "./verity-worker.ts";

type HashAlgorithm = "sha256" | "sha512";

let streams = 0;

/** The hash of a stream, kept in one worker: SHA-2 has no parts that could be computed apart. */
export class RunningHash {
  readonly #pool: WorkerPool;
  readonly #lane: number;
  readonly #stream = streams++;
  readonly #algorithm: HashAlgorithm;

  constructor(pool: WorkerPool, algorithm: HashAlgorithm) {
    this.#pool = pool;
    this.#lane = pool.pickLane();
    this.#algorithm = algorithm;
  }

  /** @param bytes in a shared buffer; must not change until the promise resolves */
  async update(bytes: Uint8Array): Promise<void> {
    await this.#run(bytes, false);
  }

  /** @returns `<algorithm>:<hex>` */
  async digest(): Promise<string> {
    return `${this.#algorithm}:${await this.#run(new Uint8Array(), true)}`;
  }

  #run(bytes: Uint8Array, last: boolean): Promise<string | undefined> {
    const job: UpdateJob = { kind: "update", stream: this.#stream, algorithm: this.#algorithm, bytes, last };
    return this.#pool.run<string | undefined>(job, this.#lane);
  }
}

/** Hashes chunks that pass by: they are copied into shared buffers. */
export class TappedHash {
  readonly #hash: RunningHash;
  readonly #slots: SharedSlots;
  readonly #track: (job: Promise<void>) => void;
  #slot: Slot | undefined;
  #fill = 0;

  /** @param track is given the jobs under way */
  constructor(hash: RunningHash, slots: SharedSlots, track: (job: Promise<void>) => void) {
    this.#hash = hash;
    this.#slots = slots;
    this.#track = track;
  }

  async update(chunk: Uint8Array): Promise<void> {
    for (let at = 0; at < chunk.length; ) {
      this.#slot ??= await this.#slots.acquire();
      const part = chunk.subarray(at, at + this.#slot.bytes.length - this.#fill);
      this.#slot.bytes.set(part, this.#fill);
      this.#fill += part.length;
      at += part.length;
      if (this.#fill === this.#slot.bytes.length) this.#send();
    }
  }

  /** @returns `<algorithm>:<hex>` */
  digest(): Promise<string> {
    this.#send();
    return this.#hash.digest();
  }

  /** Gives back what is held, when the digest is not wanted any more. */
  abandon(): void {
    if (this.#slot !== undefined) this.#slots.release(this.#slot);
    this.#slot = undefined;
  }

  #send(): void {
    const slot = this.#slot;
    if (slot === undefined) return;
    const { bytes } = slot;
    const job = this.#hash.update(bytes.subarray(0, this.#fill)).finally(() => this.#slots.release(slot));
    this.#track(job);
    this.#slot = undefined;
    this.#fill = 0;
  }
}
