/** Places that are looked at before the map gives up: digests are evenly spread, unless somebody chose them. */
const PROBES_MAX = 64;

/**
 * A map whose keys are digests, as bytes: making strings of them, and maps of strings, took a third of the time that an
 * image takes.
 *
 * Open addressing by the first four bytes, which are as good as any hash of the rest. Keys that were chosen to collide
 * go to a map of strings, so they cost no more than in one.
 */
export class DigestMap<T> {
  readonly #keys: Uint8Array[] = [];
  readonly #values: T[] = [];
  /** Numbers of entries from 1 on, 0 where there is none; a power of two, at most half full. */
  #slots = new Int32Array(1 << 10);
  readonly #crowded = new Map<string, T>();

  get(key: Uint8Array): T | undefined {
    const slot = this.#slot(key);
    const entry = slot === undefined ? 0 : (this.#slots[slot] as number);
    if (entry > 0) return this.#values[entry - 1];
    return this.#crowded.size > 0 ? this.#crowded.get(textOf(key)) : undefined;
  }

  /** @param key new to the map, and kept: its bytes may not change */
  add(key: Uint8Array, value: T): void {
    if (2 * this.#keys.length >= this.#slots.length) this.#grow();
    const slot = this.#slot(key);
    if (slot === undefined) {
      this.#crowded.set(textOf(key), value);
      return;
    }
    this.#values.push(value);
    this.#slots[slot] = this.#keys.push(key);
  }

  /** Where the key is or can be put; undefined when everything near is taken. */
  #slot(key: Uint8Array): number | undefined {
    const mask = this.#slots.length - 1;
    const first = hashOf(key);
    for (let probe = 0; probe < PROBES_MAX; probe++) {
      const slot = (first + probe) & mask;
      const entry = this.#slots[slot] as number;
      if (entry === 0 || isEqual(this.#keys[entry - 1] as Uint8Array, key)) return slot;
    }
    return undefined;
  }

  #grow(): void {
    this.#slots = new Int32Array(4 * this.#slots.length);
    for (const [index, key] of this.#keys.entries()) {
      const slot = this.#slot(key);
      if (slot === undefined) this.#crowded.set(textOf(key), this.#values[index] as T);
      else this.#slots[slot] = index + 1;
    }
  }
}

function hashOf(key: Uint8Array): number {
  return (key[0] as number) | ((key[1] as number) << 8) | ((key[2] as number) << 16) | ((key[3] as number) << 24);
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let at = a.length - 1; at >= 0; at--) if (a[at] !== b[at]) return false;
  return true;
}

const textOf = (key: Uint8Array): string => Buffer.from(key).toString("latin1");
