import { type FileHandle, open } from "node:fs/promises";
import { readExactly } from "../../lib/streams/pull.ts";
import type { FileRange } from "../image/image.ts";

/** Bytes that are asked for by the buffer: a layer's tar, on its way into shared memory. */
export interface SlotSource extends AsyncDisposable {
  /** Fills `into` from its start; fewer bytes than it has room for only at the end. */
  fill(into: Uint8Array): Promise<number>;
}

/** Reads a file straight into the buffers. */
export async function fileSource({ path, offset, size }: FileRange): Promise<SlotSource> {
  const file: FileHandle = await open(path);
  let position = 0;
  return {
    async fill(into) {
      const part = into.subarray(0, size - position);
      await readExactly(file, part, offset + position, path);
      position += part.length;
      return part.length;
    },
    [Symbol.asyncDispose]: () => file.close(),
  };
}

/** Copies a stream into the buffers, once. */
export function streamSource(source: AsyncIterable<Uint8Array>): SlotSource {
  const chunks = source[Symbol.asyncIterator]();
  let rest = new Uint8Array();
  return {
    async fill(into) {
      let filled = 0;
      while (filled < into.length) {
        if (rest.length === 0) {
          const next = await chunks.next();
          if (next.done) break;
          rest = next.value as Uint8Array<ArrayBuffer>;
        }
        const part = rest.subarray(0, into.length - filled);
        into.set(part, filled);
        filled += part.length;
        rest = rest.subarray(part.length);
      }
      return filled;
    },
    async [Symbol.asyncDispose]() {
      await chunks.return?.();
    },
  };
}
