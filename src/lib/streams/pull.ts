import { type FileHandle, open } from "node:fs/promises";
import { FormatError } from "../errors.ts";

/** Read from files this many bytes at a time. */
const CHUNK_SIZE = 256 << 10;

/**
 * The bytes of a part of a file. Chunks are valid until the next pull: one buffer is used again and again.
 *
 * @throws {FormatError} `file.truncated` when the file ends before the range does
 */
export async function* fileRange(path: string, offset: number, size: number): AsyncGenerator<Uint8Array, void, void> {
  await using file = await open(path);
  const buffer = new Uint8Array(Math.min(CHUNK_SIZE, size));
  for (let done = 0; done < size; ) {
    const chunk = buffer.subarray(0, Math.min(buffer.length, size - done));
    await readExactly(file, chunk, offset + done, path);
    yield chunk;
    done += chunk.length;
  }
}

/** Fills `into` from a file. */
export async function readExactly(file: FileHandle, into: Uint8Array, position: number, path: string): Promise<void> {
  for (let filled = 0; filled < into.length; ) {
    const { bytesRead } = await file.read(into, filled, into.length - filled, position + filled);
    if (bytesRead === 0) {
      const expected = `${into.length - filled} more bytes`;
      throw new FormatError("file.truncated", { what: path, offset: position + filled, expected, found: "the end" });
    }
    filled += bytesRead;
  }
}

/**
 * A source as one array.
 *
 * @throws {FormatError} `stream.too-large` as soon as more than `maxSize` bytes came
 */
export async function collect(source: AsyncIterable<Uint8Array>, maxSize: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of source) {
    size += chunk.length;
    if (size > maxSize) {
      throw new FormatError("stream.too-large", {
        what: "stream",
        expected: `at most ${maxSize} bytes`,
        found: `${size} or more`,
      });
    }
    chunks.push(chunk.slice());
  }
  return Buffer.concat(chunks, size);
}
