import { type TarItem, TarReader } from "./read.ts";

/** Receives an archive as it passes by. */
export interface TarSink {
  entry(item: TarItem): void;
  /**
   * A run of the content of the file that `entry()` was last given, in order and without gaps.
   *
   * @param bytes a view into the chunk
   */
  content(bytes: Uint8Array): void;
}

/** Feeds a `TarReader` with chunks of any size; only headers that lie across two chunks are copied. */
export class TarStream {
  readonly #reader = new TarReader();
  readonly #sink: TarSink;
  #position = 0;
  #contentEnd = 0;
  /** The start of what the reader needs, from earlier chunks. */
  #partial: Uint8Array | undefined;
  #partialFill = 0;

  constructor(sink: TarSink) {
    this.#sink = sink;
  }

  /** Bytes taken so far. */
  get position(): number {
    return this.#position;
  }

  /** True once both end blocks were seen; what follows is counted and not looked at. */
  get ended(): boolean {
    return this.#reader.need === undefined;
  }

  /** @throws the refusals of `TarReader.take` and whatever the sink throws */
  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      const need = this.#reader.need;
      if (need === undefined) {
        this.#position += chunk.length - at;
        return;
      }
      const gap = Math.min(need.offset - this.#position, chunk.length - at);
      if (gap > 0) {
        const run = Math.min(this.#contentEnd - this.#position, gap);
        if (run > 0) this.#sink.content(chunk.subarray(at, at + run));
        this.#position += gap;
        at += gap;
      } else {
        at += this.#gather(chunk, at, need.size);
      }
    }
  }

  /** @throws {FormatError} `tar.archive.truncated` */
  end(): void {
    this.#reader.end(this.#position + this.#partialFill);
  }

  /** @returns bytes used of the chunk */
  #gather(chunk: Uint8Array, at: number, size: number): number {
    if (this.#partial === undefined && chunk.length - at >= size) {
      this.#take(chunk.subarray(at, at + size));
      return size;
    }
    this.#partial ??= new Uint8Array(size);
    const used = Math.min(size - this.#partialFill, chunk.length - at);
    this.#partial.set(chunk.subarray(at, at + used), this.#partialFill);
    this.#partialFill += used;
    if (this.#partialFill === size) {
      const whole = this.#partial;
      this.#partial = undefined;
      this.#partialFill = 0;
      this.#take(whole);
    }
    return used;
  }

  #take(bytes: Uint8Array): void {
    this.#position += bytes.length;
    const item = this.#reader.take(bytes);
    if (item === undefined) return;
    this.#contentEnd = item.offset + (item.entry.kind === "file" ? item.entry.size : 0);
    this.#sink.entry(item);
  }
}
