import { deflateSync } from "node:zlib";
import { alignUp } from "../../lib/bytes/numbers.ts";
import type { BytesPiece } from "../../lib/bytes/piece.ts";
import { FormatError } from "../../lib/errors.ts";

export interface VmdkOptions {
  /** Bytes of the disk, a multiple of 64 KiB. */
  readonly size: number;
  /** 32 bits; another one after each change of the contents. */
  readonly contentId: number;
}

const SECTOR_SIZE = 512;
const GRAIN_SECTORS = 128;
const GRAIN_SIZE = GRAIN_SECTORS * SECTOR_SIZE;
const TABLE_ENTRIES = 512;
/** Grains start here, as with VMware's own tools. */
const OVERHEAD_SECTORS = 128;
const DESCRIPTOR_SECTORS = 20;

const MAGIC = 0x564d_444b;
const VERSION = 3;
/** Newlines can be checked; grains are compressed; grains and tables have markers. */
const FLAGS = 0x0003_0001;
const COMPRESSION_DEFLATE = 1;
/** gdOffset of a header whose directory is told by the footer. */
const GD_AT_END = 0xffff_ffff_ffff_ffffn;

const MARKER = { endOfStream: 0, grainTable: 1, grainDirectory: 2, footer: 3 } as const;

/**
 * Encodes a streamOptimized VMDK from the bytes of a disk. The bytes depend on the version of zlib.
 *
 * Holds one grain, one grain table and the directory.
 *
 * @param disk pieces in ascending order without overlap
 * @returns the file from start to end
 * @throws {FormatError} `vmdk.size` before the first chunk
 * @throws {RangeError} when the pieces are not in order or leave the disk
 */
export async function* encodeVmdk(
  disk: Iterable<BytesPiece> | AsyncIterable<BytesPiece>,
  { contentId, size }: VmdkOptions,
): AsyncGenerator<Uint8Array, void, void> {
  if (size % GRAIN_SIZE !== 0 || size <= 0 || size > 2 ** 41) {
    throw new FormatError("vmdk.size", {
      what: "VMDK disk size",
      expected: `a multiple of ${GRAIN_SIZE}, at most 2 TiB`,
      found: `${size} bytes`,
    });
  }
  const grainCount = size / GRAIN_SIZE;
  const directory = new Uint32Array(Math.ceil(grainCount / TABLE_ENTRIES));
  let sector = OVERHEAD_SECTORS;
  const counted = (bytes: Uint8Array): Uint8Array => {
    sector += bytes.length / SECTOR_SIZE;
    return bytes;
  };
  yield* encodeHead(size, contentId);

  let table: Uint32Array | undefined;
  let tableIndex = 0;
  const endTable = function* (): Generator<Uint8Array, void, void> {
    if (table === undefined) return;
    const bytes = littleEndian(table);
    yield counted(encodeMarker(bytes.length / SECTOR_SIZE, MARKER.grainTable));
    directory[tableIndex] = sector;
    yield counted(bytes);
    table = undefined;
  };
  for await (const { bytes, index } of toGrains(disk, size)) {
    if (isZero(bytes)) continue;
    const itsTable = Math.floor(index / TABLE_ENTRIES);
    if (itsTable !== tableIndex) yield* endTable();
    tableIndex = itsTable;
    table ??= new Uint32Array(TABLE_ENTRIES);
    table[index % TABLE_ENTRIES] = sector;
    yield counted(encodeGrain(index * GRAIN_SECTORS, bytes));
  }
  yield* endTable();

  const directoryBytes = padded(littleEndian(directory));
  yield counted(encodeMarker(directoryBytes.length / SECTOR_SIZE, MARKER.grainDirectory));
  const directorySector = sector;
  yield counted(directoryBytes);
  yield encodeMarker(1, MARKER.footer);
  yield encodeHeader(size, BigInt(directorySector));
  yield encodeMarker(0, MARKER.endOfStream);
}

function* encodeHead(size: number, contentId: number): Generator<Uint8Array, void, void> {
  yield encodeHeader(size, GD_AT_END);
  const descriptor = new Uint8Array((OVERHEAD_SECTORS - 1) * SECTOR_SIZE);
  descriptor.set(Buffer.from(encodeDescriptor(size, contentId)));
  yield descriptor;
}

function encodeHeader(size: number, directorySector: bigint): Uint8Array {
  const header = Buffer.alloc(SECTOR_SIZE);
  header.writeUInt32LE(MAGIC, 0);
  header.writeUInt32LE(VERSION, 4);
  header.writeUInt32LE(FLAGS, 8);
  header.writeBigUInt64LE(BigInt(size / SECTOR_SIZE), 12);
  header.writeBigUInt64LE(BigInt(GRAIN_SECTORS), 20);
  header.writeBigUInt64LE(1n, 28); // descriptorOffset
  header.writeBigUInt64LE(BigInt(DESCRIPTOR_SECTORS), 36);
  header.writeUInt32LE(TABLE_ENTRIES, 44);
  header.writeBigUInt64LE(0n, 48); // rgdOffset: no second directory
  header.writeBigUInt64LE(directorySector, 56);
  header.writeBigUInt64LE(BigInt(OVERHEAD_SECTORS), 64);
  header.write("\n \r\n", 73, "latin1"); // behind uncleanShutdown: tells a file that was sent as text
  header.writeUInt16LE(COMPRESSION_DEFLATE, 77);
  return header;
}

function encodeDescriptor(size: number, contentId: number): string {
  const sectors = size / SECTOR_SIZE;
  return [
    "# Disk DescriptorFile",
    "version=1",
    `CID=${contentId.toString(16).padStart(8, "0")}`,
    "parentCID=ffffffff",
    'createType="streamOptimized"',
    "",
    "# Extent description",
    `RDONLY ${sectors} SPARSE "disk.vmdk"`,
    "",
    "# The Disk Data Base",
    "#DDB",
    "",
    'ddb.virtualHWVersion = "10"',
    `ddb.geometry.cylinders = "${Math.min(16_383 * 4, Math.ceil(sectors / (255 * 63)))}"`,
    'ddb.geometry.heads = "255"',
    'ddb.geometry.sectors = "63"',
    'ddb.adapterType = "lsilogic"',
    "",
  ].join("\n");
}

/** struct SparseGrainLBAHeader and the compressed grain. */
function encodeGrain(sector: number, bytes: Uint8Array): Uint8Array {
  const deflated = deflateSync(bytes);
  const grain = Buffer.alloc(alignUp(12 + deflated.length, SECTOR_SIZE));
  grain.writeBigUInt64LE(BigInt(sector), 0);
  grain.writeUInt32LE(deflated.length, 8);
  grain.set(deflated, 12);
  return grain;
}

/** @param sectors of what follows */
function encodeMarker(sectors: number, type: number): Uint8Array {
  const marker = Buffer.alloc(SECTOR_SIZE);
  marker.writeBigUInt64LE(BigInt(sectors), 0);
  marker.writeUInt32LE(type, 12);
  return marker;
}

function littleEndian(words: Uint32Array): Uint8Array {
  const bytes = Buffer.alloc(words.length * 4);
  words.forEach((word, index) => bytes.writeUInt32LE(word, index * 4));
  return bytes;
}

function padded(bytes: Uint8Array): Uint8Array {
  const whole = new Uint8Array(alignUp(bytes.length, SECTOR_SIZE));
  whole.set(bytes);
  return whole;
}

const ZEROS = Buffer.alloc(GRAIN_SIZE);
const isZero = (bytes: Uint8Array): boolean => ZEROS.equals(bytes);

/** Grains that a piece touches, in order. */
async function* toGrains(
  disk: Iterable<BytesPiece> | AsyncIterable<BytesPiece>,
  size: number,
): AsyncGenerator<{ readonly index: number; readonly bytes: Uint8Array }, void, void> {
  const bytes = new Uint8Array(GRAIN_SIZE);
  let index = -1;
  let end = 0;
  for await (const piece of disk) {
    if (piece.offset < end || piece.offset + piece.bytes.length > size) {
      throw new RangeError(`a piece at ${piece.offset}, expected one from ${end} to ${size}`);
    }
    end = piece.offset + piece.bytes.length;
    for (let at = 0; at < piece.bytes.length; ) {
      const grain = Math.floor((piece.offset + at) / GRAIN_SIZE);
      if (grain !== index) {
        if (index >= 0) yield { index, bytes };
        bytes.fill(0);
        index = grain;
      }
      const within = (piece.offset + at) % GRAIN_SIZE;
      const part = piece.bytes.subarray(at, at + GRAIN_SIZE - within);
      bytes.set(part, within);
      at += part.length;
    }
  }
  if (index >= 0) yield { index, bytes };
}
