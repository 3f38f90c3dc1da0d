import { viewOf } from "../../lib/bytes/field.ts";

/**
 * A window over output that is written front to back: zeroed bytes to fill in, handed on when the window moves.
 */
export class Sink {
  readonly #emit: (chunk: Uint8Array) => void;
  #buffer: Buffer;
  #view: DataView;
  #base = 0;

  /** @param emit gets consecutive chunks, each valid until it returns */
  constructor(windowSize: number, emit: (chunk: Uint8Array) => void) {
    this.#buffer = Buffer.alloc(windowSize);
    this.#view = viewOf(this.#buffer);
    this.#emit = emit;
  }

  /** The window; stays the same object until the next call of `reserve`. */
  get buffer(): Buffer {
    return this.#buffer;
  }

  /** The same bytes; typed writes through it cost half of those through the buffer. */
  get view(): DataView {
    return this.#view;
  }

  /**
   * Makes room for `size` bytes at `offset` of the output, which nothing later may precede.
   *
   * @returns the index of the first of them in `buffer`
   */
  reserve(offset: number, size: number): number {
    if (offset - this.#base + size > this.#buffer.length) {
      this.#moveTo(offset);
      if (size > this.#buffer.length) {
        this.#buffer = Buffer.alloc(size);
        this.#view = viewOf(this.#buffer);
      }
    }
    return offset - this.#base;
  }

  /** Hands on the rest; the window is not used again, so its last chunk may be kept. */
  finish(size: number): void {
    this.#moveTo(size, true);
  }

  #moveTo(offset: number, isLast: boolean = false): void {
    while (this.#base < offset) {
      const chunk = this.#buffer.subarray(0, Math.min(offset - this.#base, this.#buffer.length));
      this.#emit(chunk);
      this.#base += chunk.length;
      if (this.#base < offset || !isLast) chunk.fill(0);
    }
  }
}
