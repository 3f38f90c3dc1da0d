import { TAR_BLOCK_SIZE } from "./layout.ts";

/** A part of a sparse file that is stored. */
export interface SparsePart {
  readonly offset: number;
  readonly size: number;
}

export interface SparseFile {
  /** At most 100 bytes of ASCII. */
  readonly name: string;
  /** Bytes of the file, holes included. */
  readonly size: number;
  /** Seconds since 1970. */
  readonly time: number;
  /** In ascending order; sizes and offsets are multiples of 512. */
  readonly parts: readonly SparsePart[];
}

/** Parts that the header itself has room for, and each block behind it. */
const PARTS_IN_HEADER = 4;
const PARTS_IN_EXTENSION = 21;

/**
 * Encodes the header of a sparse file in the old GNU format; the stored parts follow it side by side. It is the one
 * that Google Cloud wants for disks, and no layer of an image may have.
 *
 * @see GNU tar manual, "Storing Sparse Files", "Old GNU Format"
 */
export function encodeGnuSparseHeader({ name, parts, size, time }: SparseFile): Uint8Array {
  // A last part of no bytes tells where the file ends.
  const map = parts.at(-1) && endOf(parts) === size ? parts : [...parts, { offset: size, size: 0 }];
  const stored = map.reduce((sum, part) => sum + part.size, 0);
  const extensions = Math.ceil(Math.max(0, map.length - PARTS_IN_HEADER) / PARTS_IN_EXTENSION);
  const bytes = Buffer.alloc(TAR_BLOCK_SIZE * (1 + extensions));
  bytes.write(name, 0, 100, "latin1");
  for (const [at, value] of [
    [100, 0o644],
    [108, 0],
    [116, 0],
  ] as const) {
    writeNumber(bytes, at, 8, value);
  }
  writeNumber(bytes, 124, 12, stored);
  writeNumber(bytes, 136, 12, time);
  bytes.write("S", 156, "latin1");
  bytes.write("ustar  \0", 257, "latin1");
  const writeParts = (from: number, at: number, count: number): void => {
    map.slice(from, from + count).forEach((part, index) => {
      writeNumber(bytes, at + 24 * index, 12, part.offset);
      writeNumber(bytes, at + 24 * index + 12, 12, part.size);
    });
  };
  writeParts(0, 386, PARTS_IN_HEADER);
  bytes.writeUInt8(extensions > 0 ? 1 : 0, 482);
  writeNumber(bytes, 483, 12, size);
  for (let index = 0; index < extensions; index++) {
    const at = TAR_BLOCK_SIZE * (1 + index);
    writeParts(PARTS_IN_HEADER + PARTS_IN_EXTENSION * index, at, PARTS_IN_EXTENSION);
    bytes.writeUInt8(index + 1 < extensions ? 1 : 0, at + 504);
  }
  bytes.fill(" ", 148, 156);
  const sum = bytes.subarray(0, TAR_BLOCK_SIZE).reduce((total, byte) => total + byte, 0);
  bytes.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return bytes;
}

function endOf(parts: readonly SparsePart[]): number {
  const last = parts.at(-1) as SparsePart;
  return last.offset + last.size;
}

/** Octal digits and a NUL; in base 256 where they do not suffice. */
function writeNumber(bytes: Buffer, at: number, width: 8 | 12, value: number): void {
  const digits = value.toString(8).padStart(width - 1, "0");
  if (digits.length < width) {
    bytes.write(`${digits}\0`, at, "latin1");
    return;
  }
  bytes.writeUInt8(0x80, at);
  bytes.writeBigUInt64BE(BigInt(value), at + width - 8);
}
