import type { FileHandle } from "node:fs/promises";
import { alignUp } from "../../lib/bytes/numbers.ts";
import type { BytesPiece } from "../../lib/bytes/piece.ts";
import { openInputFile, readExactly } from "../../model/host-io/files.ts";

/** A part of a disk that was written; what is between them is zero. */
export interface Extent {
  readonly offset: number;
  readonly size: number;
}

/** Gathers extents that come in ascending order, rounded to sectors, neighbours joined. */
export class ExtentList {
  readonly extents: { offset: number; size: number }[] = [];

  add(offset: number, size: number): void {
    const from = Math.floor(offset / SECTOR_SIZE) * SECTOR_SIZE;
    const end = alignUp(offset + size, SECTOR_SIZE);
    const last = this.extents.at(-1);
    if (last !== undefined && from <= last.offset + last.size) last.size = Math.max(last.size, end - last.offset);
    else if (size > 0) this.extents.push({ offset: from, size: end - from });
  }
}

const SECTOR_SIZE = 512;

/** Bytes that are held at a time. */
const CHUNK_SIZE = 1 << 20;

/** The written parts of a raw disk, in chunks. */
export async function* readExtents(path: string, extents: readonly Extent[]): AsyncGenerator<BytesPiece, void, void> {
  await using file: FileHandle = await openInputFile(path, "raw disk");
  for (const { offset, size } of extents) {
    for (let done = 0; done < size; done += CHUNK_SIZE) {
      const length = Math.min(CHUNK_SIZE, size - done);
      yield { offset: offset + done, bytes: await readExactly(file, path, offset + done, length, "raw disk") };
    }
  }
}

/** All bytes of a disk, zeros included. */
export async function* withZeros(
  pieces: AsyncIterable<BytesPiece>,
  size: number,
): AsyncGenerator<Uint8Array, void, void> {
  const zeros = new Uint8Array(CHUNK_SIZE);
  let at = 0;
  function* upTo(end: number): Generator<Uint8Array, void, void> {
    while (at < end) {
      const part = zeros.subarray(0, end - at);
      yield part;
      at += part.length;
    }
  }
  for await (const { offset, bytes } of pieces) {
    yield* upTo(offset);
    yield bytes;
    at += bytes.length;
  }
  yield* upTo(size);
}
