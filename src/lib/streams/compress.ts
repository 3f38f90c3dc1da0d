import { constants, createGzip, createZstdCompress } from "node:zlib";
import type { Compression } from "./decompress.ts";
import { ONE_AT_A_TIME, through } from "./through.ts";

/** Levels of each compression, and what is taken when none is asked for. */
export const COMPRESSION_LEVELS = {
  gzip: { min: 0, max: 9, default: 6 },
  zstd: { min: 1, max: 19, default: 9 },
} as const;

/**
 * Compresses a stream. The same bytes and level give the same bytes with the same zlib or zstd; no time, name or
 * system is written.
 *
 * @param source its chunks need be valid only until the next pull
 * @param level of `COMPRESSION_LEVELS`
 */
export async function* compress(
  source: AsyncIterable<Uint8Array>,
  compression: Compression,
  level?: number,
): AsyncGenerator<Uint8Array, void, void> {
  switch (compression) {
    case "none":
      yield* source;
      return;
    case "gzip":
      yield* withoutSystem(
        through(source, createGzip({ ...ONE_AT_A_TIME, level: level ?? COMPRESSION_LEVELS.gzip.default })),
      );
      return;
    case "zstd": {
      const params = { [constants.ZSTD_c_compressionLevel]: level ?? COMPRESSION_LEVELS.zstd.default };
      yield* through(source, createZstdCompress({ ...ONE_AT_A_TIME, params }));
      return;
    }
    default:
      compression satisfies never;
  }
}

/** Place of the operating system in the header of a gzip member, and the value for one that is not told (RFC 1952). */
const SYSTEM_OFFSET = 9;
const SYSTEM_UNKNOWN = 255;

/** zlib writes the system that it runs on. */
async function* withoutSystem(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  let position = 0;
  for await (const chunk of source) {
    if (position <= SYSTEM_OFFSET && SYSTEM_OFFSET < position + chunk.length) {
      chunk[SYSTEM_OFFSET - position] = SYSTEM_UNKNOWN;
    }
    position += chunk.length;
    yield chunk;
  }
}
