import { readSync } from "node:fs";
import type { ByteSource } from "../../lib/bytes/byte-source.ts";
import { FormatError } from "../../lib/errors.ts";
import { inputError } from "../host-io/errors.ts";

/** Bytes of a file by position. */
export interface DiskSource extends ByteSource {
  /** Fills `into` from `offset`; for bulk data, which is neither kept nor allocated. */
  fill(offset: number, into: Uint8Array): void;
}

/** What is kept of a file. Neighbours of what is asked for come along: inodes and directories lie side by side. */
const BLOCK_SIZE = 64 * 1024;

/**
 * Reads an open file through a cache of the blocks that were asked for last.
 *
 * @param cacheSize bytes
 * @returns a source whose `read` throws {FormatError} `input.truncated`, {InputOutputError} `input.unreadable`
 */
export function fileSource(fd: number, size: number, path: string, cacheSize: number): DiskSource {
  const blocks = new Map<number, Uint8Array>();

  const fill = (offset: number, into: Uint8Array): void => {
    for (let done = 0; done < into.length; ) {
      const read = readOrExplain(fd, into, done, offset + done, path);
      if (read === 0) throw truncated(path, offset + done, into.length - done);
      done += read;
    }
  };

  const block = (index: number): Uint8Array => {
    let bytes = blocks.get(index);
    if (bytes === undefined) {
      bytes = unfilled(Math.min(BLOCK_SIZE, size - index * BLOCK_SIZE));
      fill(index * BLOCK_SIZE, bytes);
    }
    // The last used is the last in the map.
    blocks.delete(index);
    blocks.set(index, bytes);
    if (blocks.size > cacheSize / BLOCK_SIZE) blocks.delete(blocks.keys().next().value as number);
    return bytes;
  };

  return {
    size,
    fill,
    read: (offset, length) => {
      const index = Math.floor(offset / BLOCK_SIZE);
      const from = offset - index * BLOCK_SIZE;
      if (from + length <= BLOCK_SIZE && length > 0) return block(index).subarray(from, from + length);
      const bytes = unfilled(length);
      fill(offset, bytes);
      return bytes;
    },
  };
}

/** Not a `Buffer`: the `slice` of one is no copy, and codecs change their copies. */
const unfilled = (size: number): Uint8Array => new Uint8Array(Buffer.allocUnsafeSlow(size).buffer);

function readOrExplain(fd: number, into: Uint8Array, at: number, position: number, path: string): number {
  try {
    return readSync(fd, into, at, into.length - at, position);
  } catch (error) {
    throw inputError(error, "disk", path);
  }
}

function truncated(path: string, offset: number, missing: number): FormatError {
  return new FormatError("input.truncated", {
    what: `disk ${JSON.stringify(path)}`,
    offset,
    expected: `${missing} more bytes`,
    found: "the end of the file",
  });
}

/** A source whose bytes have to be put together first. */
export const copyingSource = (source: ByteSource): DiskSource => ({
  ...source,
  fill: (offset, into) => into.set(source.read(offset, into.length)),
});
