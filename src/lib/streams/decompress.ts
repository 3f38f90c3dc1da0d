import { FormatError } from "../errors.ts";
import { gunzip } from "./gzip.ts";
import { unzstd } from "./zstd.ts";

export type Compression = "none" | "gzip" | "zstd";

/** Largest decompressed stream unless the caller says otherwise. A safety limit: time and disk, memory does not depend on it. */
export const DECOMPRESSED_SIZE_MAX = 2 ** 40;

/** Decompressed bytes for one stored byte, once more than `DECOMPRESSED_FREE_SIZE` came out. A safety limit. */
export const DECOMPRESSED_RATIO_MAX = 2000;

/** A file of zeros compresses better than any bomb: up to here the ratio does not count. */
export const DECOMPRESSED_FREE_SIZE = 8 * 2 ** 30;

export interface DecompressOptions {
  /** Most bytes that may come out. */
  readonly maxSize?: number;
}

/**
 * The decompressed bytes of a source. Chunks are valid until the next pull.
 *
 * @throws {FormatError} `gzip.*`, `zstd.*`; `stream.too-large` and `stream.ratio-too-high` for what looks like a bomb
 */
export async function* decompress(
  source: AsyncIterable<Uint8Array>,
  compression: Compression,
  { maxSize = DECOMPRESSED_SIZE_MAX }: DecompressOptions = {},
): AsyncGenerator<Uint8Array, void, void> {
  if (compression === "none") {
    yield* limitSize(source, maxSize);
    return;
  }
  let stored = 0;
  async function* counted(): AsyncGenerator<Uint8Array, void, void> {
    for await (const chunk of source) {
      stored += chunk.length;
      yield chunk;
    }
  }
  let size = 0;
  for await (const chunk of limitSize(compression === "gzip" ? gunzip(counted()) : unzstd(counted()), maxSize)) {
    size += chunk.length;
    if (size > DECOMPRESSED_FREE_SIZE && size / stored > DECOMPRESSED_RATIO_MAX) {
      throw new FormatError("stream.ratio-too-high", {
        what: `${compression} stream`,
        expected: `at most ${DECOMPRESSED_RATIO_MAX} bytes out of one`,
        found: `${size} out of ${stored}`,
      });
    }
    yield chunk;
  }
}

/** @throws {FormatError} `stream.too-large` as soon as more than `maxSize` bytes came */
export async function* limitSize(
  source: AsyncIterable<Uint8Array>,
  maxSize: number,
): AsyncGenerator<Uint8Array, void, void> {
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
    yield chunk;
  }
}
