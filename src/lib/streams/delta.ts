/**
 * What a file costs to somebody who holds an older one: zstd with the old bytes as dictionary, as `zstd --patch-from`
 * does it, in frames.
 *
 *     old   |--------------------- window 12 MiB ---------------------|
 *     new                        |-- segment 4 MiB --|                     the same place in proportion
 *
 * zstd looks into no dictionary beyond its last 16 MiB when it is given one this way, so each segment of a large file
 * has the part of the old one that lies where it does itself. A file that is moved about by more than some MiB costs
 * more here than `--patch-from` with long-distance matching would find.
 */
import { promisify } from "node:util";
import { constants, zstdCompress } from "node:zlib";

const SEGMENT_SIZE = 4 << 20;
const DICTIONARY_SIZE = 12 << 20;

/** Up to here a new file is one frame, if the old one is one dictionary. */
const WHOLE_SIZE = 12 << 20;

const LEVEL = 3;

/** Entries of the match tables, by their logarithm: 4 MiB of positions, 16 MiB of memory each. */
const HASH_LOG_MAX = 22;

/** Window and tables of zstd have at least a KiB. */
const LOG_MIN = 10;

/** A frame of the new file, and the part of the old one that it may copy from. */
export interface DeltaSegment {
  readonly from: number;
  readonly to: number;
  readonly dictionaryFrom: number;
  readonly dictionaryTo: number;
}

/** Cuts a new file into frames. Without an old one, dictionaries are empty. */
export function planDelta(size: number, oldSize = 0): DeltaSegment[] {
  if (size <= WHOLE_SIZE && oldSize <= DICTIONARY_SIZE) {
    return size === 0 ? [] : [{ from: 0, to: size, dictionaryFrom: 0, dictionaryTo: oldSize }];
  }
  return Array.from({ length: Math.ceil(size / SEGMENT_SIZE) }, (_, index) => {
    const from = index * SEGMENT_SIZE;
    const to = Math.min(size, from + SEGMENT_SIZE);
    const middle = Math.floor(((from + to) / 2 / size) * oldSize);
    const dictionaryFrom = Math.max(0, Math.min(oldSize - DICTIONARY_SIZE, middle - DICTIONARY_SIZE / 2));
    return { from, to, dictionaryFrom, dictionaryTo: Math.min(oldSize, dictionaryFrom + DICTIONARY_SIZE) };
  });
}

/** Of a trained dictionary, which is more than its bytes: a file that begins like one is taken without its first byte. */
const DICTIONARY_MAGIC = 0xec30a437;

export function asDictionary(bytes: Uint8Array): Uint8Array {
  const { buffer, byteLength, byteOffset } = bytes;
  const isTrained = byteLength >= 4 && new DataView(buffer, byteOffset).getUint32(0, true) === DICTIONARY_MAGIC;
  return isTrained ? bytes.subarray(1) : bytes;
}

const compressWhole = promisify(zstdCompress) as (
  bytes: Uint8Array,
  options: Parameters<typeof zstdCompress>[1] & { readonly dictionary?: Uint8Array; readonly pledgedSrcSize?: number },
) => Promise<Uint8Array>;

const logOf = (size: number, max: number): number => Math.min(max, Math.max(LOG_MIN, Math.ceil(Math.log2(size))));

/**
 * A segment as one zstd frame, made on libuv's threads.
 *
 * @param old the part of the old file that is the dictionary; empty for none
 */
export async function encodeSegment(bytes: Uint8Array, old: Uint8Array): Promise<Uint8Array> {
  const dictionary = asDictionary(old);
  const params: Record<number, number> = { [constants.ZSTD_c_compressionLevel]: LEVEL };
  if (dictionary.length === 0) return await compressWhole(bytes, { params, pledgedSrcSize: bytes.length });
  // The dictionary can be reached for as long as the frame has not outgrown the window.
  params[constants.ZSTD_c_windowLog] = logOf(bytes.length, 27);
  params[constants.ZSTD_c_hashLog] = logOf(dictionary.length, HASH_LOG_MAX);
  params[constants.ZSTD_c_chainLog] = logOf(dictionary.length, HASH_LOG_MAX);
  return await compressWhole(bytes, { params, dictionary, pledgedSrcSize: bytes.length });
}
