import { zstdDecompressSync } from "node:zlib";
import { viewOf } from "../../lib/bytes/field.ts";
import { FormatError } from "../../lib/errors.ts";
import { VERITY_ALGORITHMS, type VerityAlgorithm } from "../fsverity/index.ts";
import {
  BLOCK_BITS,
  HEADER,
  HEADER_SIZE,
  INFO_CONTENT_TYPE,
  INFO_SIZE,
  INFO_TOTAL_SIZE,
  MAGIC,
  SECTIONS,
  type SectionName,
  VERSION,
} from "./layout.ts";

export interface SplitStream {
  readonly algorithm: VerityAlgorithm;
  readonly contentType: string;
  /** Bytes of the original. */
  readonly size: number;
  readonly streamRefs: readonly Uint8Array[];
  readonly objectRefs: readonly Uint8Array[];
  /** Digests among the stream refs, by name. */
  readonly namedRefs: ReadonlyMap<string, Uint8Array>;
  /** zstd, see `readSplitStream`. */
  readonly compressed: Uint8Array;
}

export type SplitStreamChunk = { readonly inline: Uint8Array } | { readonly object: Uint8Array };

/** Safety limits on what is decompressed: a layer of a million files has about 1.5 GB of headers. */
const NAMED_REFS_MAX = 1 << 24;
const STREAM_MAX = 2 ** 31 - 1;

const WHAT = "split stream";

/**
 * Parses everything but the stream itself.
 *
 * @returns views into `bytes`
 * @throws {FormatError} `splitstream.magic`, `splitstream.version`, `splitstream.algorithm`, `splitstream.section`,
 *   `splitstream.refs`, `splitstream.named-refs`, `splitstream.zstd`
 */
export function parseSplitStream(bytes: Uint8Array): SplitStream {
  const { algorithm, infoEnd, infoStart } = parseHeader(bytes);
  const { digestSize } = VERITY_ALGORITHMS[algorithm];
  const info = bytes.subarray(infoStart, infoEnd);
  const view = viewOf(info);
  const section = (name: SectionName): Uint8Array => {
    const at = 16 * SECTIONS.indexOf(name);
    return cut(bytes, view.getBigUint64(at, true), view.getBigUint64(at + 8, true), name, infoStart + at);
  };
  const streamRefs = parseDigests(section("streamRefs"), digestSize, "stream refs");
  return {
    algorithm,
    contentType: Buffer.from(info.subarray(INFO_CONTENT_TYPE, INFO_CONTENT_TYPE + 8)).toString("latin1"),
    size: Number(view.getBigUint64(INFO_TOTAL_SIZE, true)),
    streamRefs,
    objectRefs: parseDigests(section("objectRefs"), digestSize, "object refs"),
    namedRefs: parseNamedRefs(section("namedRefs"), streamRefs),
    compressed: section("stream"),
  };
}

/**
 * The parts of the original in order.
 *
 * @throws {FormatError} `splitstream.zstd`, `splitstream.chunk`, `splitstream.object-index`
 */
export function* readSplitStream({ compressed, objectRefs }: SplitStream): Generator<SplitStreamChunk, void, void> {
  const stream = decompress(compressed, STREAM_MAX, "stream");
  const view = viewOf(stream);
  for (let at = 0; at < stream.length; ) {
    if (at + 8 > stream.length) throw badChunk(at, "8 bytes of a chunk's head", `${stream.length - at}`);
    const value = view.getBigInt64(at, true);
    at += 8;
    if (value >= 0n) {
      const object = value < objectRefs.length ? objectRefs[Number(value)] : undefined;
      if (object === undefined) {
        const expected = `an index below ${objectRefs.length}`;
        throw new FormatError("splitstream.object-index", { what: WHAT, expected, found: String(value) });
      }
      yield { object };
    } else {
      const left = stream.length - at;
      if (-value > left) throw badChunk(at, `${-value} bytes`, `${left}`);
      yield { inline: stream.subarray(at, at + Number(-value)) };
      at += Number(-value);
    }
  }
}

function parseHeader(bytes: Uint8Array) {
  const magic = Buffer.from(bytes.subarray(0, MAGIC.length)).toString("latin1");
  if (bytes.length < HEADER_SIZE || magic !== MAGIC) {
    throw new FormatError("splitstream.magic", {
      what: WHAT,
      offset: 0,
      expected: MAGIC,
      found: JSON.stringify(magic),
    });
  }
  const view = viewOf(bytes);
  const version = view.getUint8(HEADER.version[0]);
  if (version !== VERSION) {
    const what = `${WHAT}: version`;
    throw new FormatError("splitstream.version", { what, expected: String(VERSION), found: String(version) });
  }
  const id = view.getUint8(HEADER.algorithm[0]);
  const bits = view.getUint8(HEADER.blockBits[0]);
  const algorithm = (["sha256", "sha512"] as const).find((name) => VERITY_ALGORITHMS[name].id === id);
  if (algorithm === undefined || bits !== BLOCK_BITS) {
    const found = `${id} and ${bits}`;
    throw new FormatError("splitstream.algorithm", { what: WHAT, expected: `1 or 2, and ${BLOCK_BITS}`, found });
  }
  const start = view.getBigUint64(HEADER.infoStart[0], true);
  const end = view.getBigUint64(HEADER.infoEnd[0], true);
  const info = cut(bytes, start, end, "info", HEADER.infoStart[0]);
  if (info.length < INFO_SIZE) {
    const expected = `at least ${INFO_SIZE} bytes`;
    throw new FormatError("splitstream.section", { what: `${WHAT}: info`, expected, found: `${info.length}` });
  }
  return { algorithm, infoStart: Number(start), infoEnd: Number(end) };
}

function cut(bytes: Uint8Array, start: bigint, end: bigint, name: string, offset: number): Uint8Array {
  if (start > end || end > bytes.length) {
    throw new FormatError("splitstream.section", {
      what: `${WHAT}: ${name}`,
      offset,
      expected: `a range within ${bytes.length} bytes`,
      found: `${start} to ${end}`,
    });
  }
  return bytes.subarray(Number(start), Number(end));
}

function parseDigests(bytes: Uint8Array, size: number, what: string): Uint8Array[] {
  if (bytes.length % size !== 0) {
    const expected = `a multiple of ${size} bytes`;
    throw new FormatError("splitstream.refs", { what: `${WHAT}: ${what}`, expected, found: `${bytes.length}` });
  }
  return Array.from({ length: bytes.length / size }, (_, index) => bytes.subarray(index * size, (index + 1) * size));
}

function parseNamedRefs(bytes: Uint8Array, streamRefs: readonly Uint8Array[]): Map<string, Uint8Array> {
  const text = decompress(bytes, NAMED_REFS_MAX, "named refs").toString("utf8");
  const refs = new Map<string, Uint8Array>();
  const records = text.split("\0");
  if (records.pop() !== "") throw badNames("a NUL after the last record", "none");
  for (const record of records) {
    const match = /^(\d{1,9}):(.*)$/s.exec(record);
    const digest = match === null ? undefined : streamRefs[Number(match[1])];
    if (match === null || digest === undefined) {
      throw badNames(`"index:name" with an index below ${streamRefs.length}`, JSON.stringify(record.slice(0, 80)));
    }
    refs.set(match[2] as string, digest);
  }
  return refs;
}

function decompress(bytes: Uint8Array, maxOutputLength: number, what: string): Buffer {
  try {
    return zstdDecompressSync(bytes, { maxOutputLength });
  } catch (cause) {
    const expected = `zstd of at most ${maxOutputLength} bytes`;
    throw new FormatError(
      "splitstream.zstd",
      { what: `${WHAT}: ${what}`, expected, found: (cause as Error).message },
      { cause },
    );
  }
}

const badChunk = (offset: number, expected: string, found: string): FormatError =>
  new FormatError("splitstream.chunk", { what: `${WHAT}: decompressed stream`, offset, expected, found });

const badNames = (expected: string, found: string): FormatError =>
  new FormatError("splitstream.named-refs", { what: `${WHAT}: named refs`, expected, found });
