/** A page of this many bytes serves some hundred digests. */
const PAGE_SIZE = 16 * 1024;

/**
 * Keeps many short byte strings on common pages: a buffer of its own costs each of them some hundred bytes, and the
 * garbage collector the counting.
 */
export class ByteSlab {
  #page = new Uint8Array(0);
  #used = 0;

  /** @returns a copy that stays as long as it is referred to, and its page with it */
  copy(bytes: Uint8Array): Uint8Array {
    if (bytes.length > PAGE_SIZE) return bytes.slice();
    if (this.#used + bytes.length > this.#page.length) {
      this.#page = new Uint8Array(PAGE_SIZE);
      this.#used = 0;
    }
    const at = this.#used;
    this.#used += bytes.length;
    this.#page.set(bytes, at);
    return this.#page.subarray(at, this.#used);
  }
}
