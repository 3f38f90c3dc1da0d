import { crc32c } from "../../lib/bytes/crc32c.ts";
import { getField, viewOf } from "../../lib/bytes/field.ts";
import { FormatError, UnsupportedError } from "../../lib/errors.ts";
import {
  EXTENT,
  EXTENT_HEADER,
  EXTENT_INDEX,
  EXTENT_LENGTH_MAX,
  EXTENT_MAGIC,
  EXTENT_RECORD_SIZE,
  INODE_FLAG,
} from "./layout.ts";
import type { Ext4Inode } from "./read-inode.ts";
import { checksumError, type Ext4Volume, readBlocks } from "./volume.ts";

/** A stored range of a file; what is between ranges reads as zeros. */
export interface FileRange {
  /** In the file, bytes. */
  readonly offset: number;
  readonly size: number;
  readonly block: number;
}

/** Format rule: 5 levels hold more extents than there are block numbers. */
const DEPTH_MAX = 5;
/** Most extents of one file. Safety limit, not a format rule: contiguous files have one for each 128 MiB. */
const EXTENTS_MAX = 1 << 20;

/**
 * The stored ranges of a file in ascending order. Unwritten extents count as holes.
 *
 * @throws {FormatError} `ext4.extent.*`, `ext4.block.out-of-bounds`
 * @throws {UnsupportedError} `ext4.inode.block-mapped` for a file in the manner of ext2
 * @see Linux Documentation/filesystems/ext4/ifork.rst, "Extent Tree"
 */
export function readFileRanges(volume: Ext4Volume, inode: Ext4Inode): FileRange[] {
  const what = `ext4 inode ${inode.ino}: extent tree`;
  if ((inode.flags & INODE_FLAG.EXTENTS) === 0) {
    if (inode.size === 0) return [];
    throw new UnsupportedError("ext4.inode.block-mapped", `ext4 inode ${inode.ino}: has no extents`);
  }
  const ranges: FileRange[] = [];
  let nextBlock = 0;
  let seen = 0;

  const visit = (node: Uint8Array, depth: number | undefined): void => {
    const header = viewOf(node);
    const entries = getField(header, EXTENT_HEADER.entries);
    const found = getField(header, EXTENT_HEADER.depth);
    const fits = entries <= Math.floor(node.length / EXTENT_RECORD_SIZE) - 1;
    const levelIsRight = depth === undefined ? found <= DEPTH_MAX : found === depth;
    if (getField(header, EXTENT_HEADER.magic) !== EXTENT_MAGIC || !fits || !levelIsRight) {
      throw new FormatError("ext4.extent.header", {
        what: `${what}: header`,
        expected: `magic 0xf30a, entries that fit, depth ${depth ?? `up to ${DEPTH_MAX}`}`,
        found: Buffer.from(node.subarray(0, EXTENT_RECORD_SIZE)).toString("hex"),
      });
    }
    seen += entries;
    if (seen > EXTENTS_MAX) {
      throw new FormatError("ext4.extent.too-many", {
        what,
        expected: `at most ${EXTENTS_MAX} records`,
        found: "more",
      });
    }
    for (let index = 1; index <= entries; index++) {
      const record = viewOf(node.subarray(index * EXTENT_RECORD_SIZE, (index + 1) * EXTENT_RECORD_SIZE));
      if (found > 0) visit(readNode(volume, inode, childOf(record), what), found - 1);
      else nextBlock = addExtent(record, nextBlock);
    }
  };

  const addExtent = (record: DataView, from: number): number => {
    const block = getField(record, EXTENT.block);
    const stored = getField(record, EXTENT.length);
    const isWritten = stored <= EXTENT_LENGTH_MAX;
    const count = isWritten ? stored : stored - EXTENT_LENGTH_MAX;
    const start = getField(record, EXTENT.startHi) * 2 ** 32 + getField(record, EXTENT.startLo);
    if (block < from || count === 0 || start + count > volume.blockCount) {
      throw new FormatError("ext4.extent.range", {
        what: `${what}: extent of ${count} blocks`,
        expected: `file blocks from ${from} on, in blocks below ${volume.blockCount}`,
        found: `file block ${block}, block ${start}`,
      });
    }
    if (isWritten) {
      ranges.push({ offset: block * volume.blockSize, size: count * volume.blockSize, block: start });
    }
    return block + count;
  };

  visit(inode.iBlock, undefined);
  return ranges;
}

function childOf(record: DataView): number {
  return getField(record, EXTENT_INDEX.leafHi) * 2 ** 32 + getField(record, EXTENT_INDEX.leafLo);
}

function readNode(volume: Ext4Volume, inode: Ext4Inode, block: number, what: string): Uint8Array {
  const node = readBlocks(volume, block, 1, what);
  if (inode.checksumSeed !== undefined) {
    // The checksum follows the last record that fits.
    const at = Math.floor((node.length - 4) / EXTENT_RECORD_SIZE) * EXTENT_RECORD_SIZE;
    if (viewOf(node).getUint32(at, true) !== crc32c(inode.checksumSeed, node.subarray(0, at))) {
      throw checksumError("ext4.extent.checksum", what, block * volume.blockSize + at);
    }
  }
  return node;
}
