/** One shared buffer of a fixed set; give it back with `release`. */
export interface Slot {
  readonly bytes: Uint8Array;
}

/**
 * A fixed set of buffers that workers can see. Whoever wants one more than there are waits until one is given back:
 * that is what bounds the memory of a reader that is faster than its workers.
 */
export class SharedSlots {
  readonly #size: number;
  readonly #free: Slot[] = [];
  readonly #waiting: ((slot: Slot) => void)[] = [];
  #unmade: number;

  /** @param size bytes of each */
  constructor(count: number, size: number) {
    this.#unmade = count;
    this.#size = size;
  }

  acquire(): Promise<Slot> | Slot {
    const slot = this.#free.pop();
    if (slot !== undefined) return slot;
    if (this.#unmade > 0) {
      this.#unmade--;
      return { bytes: new Uint8Array(new SharedArrayBuffer(this.#size)) };
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  release(slot: Slot): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(slot);
    else next(slot);
  }
}
