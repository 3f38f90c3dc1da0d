import { crc32c } from "../../lib/bytes/crc32c.ts";
import { setField, viewOf } from "../../lib/bytes/field.ts";
import {
  BLOCK_SIZE,
  EXTENT,
  EXTENT_HEADER,
  EXTENT_INDEX,
  EXTENT_LENGTH_MAX,
  EXTENT_MAGIC,
  EXTENT_RECORD_SIZE,
  INODE_BLOCK_SIZE,
} from "./layout.ts";
import type { Run } from "./runs.ts";

/** Neighbouring blocks of a file in neighbouring places. */
export interface Extent {
  /** First block in the file. */
  readonly block: number;
  readonly start: number;
  readonly count: number;
}

/** Records that fit: 4 in an inode, 340 in a block, where 4 bytes are left for the checksum. */
const INODE_RECORDS = INODE_BLOCK_SIZE / EXTENT_RECORD_SIZE - 1;
const BLOCK_RECORDS = Math.floor((BLOCK_SIZE - 4) / EXTENT_RECORD_SIZE) - 1;

/** One level of an extent tree below the inode. */
interface ExtentBlock {
  readonly place: number;
  readonly depth: number;
  readonly records: readonly (Extent | ExtentBlock)[];
}

export interface ExtentTree {
  readonly root: readonly (Extent | ExtentBlock)[];
  readonly depth: number;
  readonly blocks: readonly ExtentBlock[];
}

/** Extents of a file whose blocks from `block` on lie in `runs`. */
export function toExtents(block: number, runs: readonly Run[]): Extent[] {
  const extents: Extent[] = [];
  let at = block;
  for (const run of runs) {
    for (let done = 0; done < run.count; ) {
      const count = Math.min(EXTENT_LENGTH_MAX, run.count - done);
      extents.push({ block: at, start: run.start + done, count });
      at += count;
      done += count;
    }
  }
  return extents;
}

/** Joins extents that continue each other, as the kernel does when there is no hole before the verity metadata. */
export function joinExtents(extents: readonly Extent[]): Extent[] {
  const joined: Extent[] = [];
  for (const extent of extents) {
    const last = joined.at(-1);
    const continues =
      last !== undefined &&
      last.block + last.count === extent.block &&
      last.start + last.count === extent.start &&
      last.count + extent.count <= EXTENT_LENGTH_MAX;
    if (continues) joined[joined.length - 1] = { ...last, count: last.count + extent.count };
    else joined.push(extent);
  }
  return joined;
}

/** @param takeBlock gives the place of one more block for the tree */
export function buildExtentTree(extents: readonly Extent[], takeBlock: () => number): ExtentTree {
  let level: readonly (Extent | ExtentBlock)[] = extents;
  let depth = 0;
  const blocks: ExtentBlock[] = [];
  while (level.length > INODE_RECORDS) {
    const parents: ExtentBlock[] = [];
    for (let at = 0; at < level.length; at += BLOCK_RECORDS) {
      parents.push({ place: takeBlock(), depth, records: level.slice(at, at + BLOCK_RECORDS) });
    }
    blocks.push(...parents);
    level = parents;
    depth++;
  }
  return { root: level, depth, blocks };
}

/** i_block of an inode with extents. */
export function encodeExtentRoot(tree: ExtentTree): Uint8Array {
  return encodeNode(tree.root, tree.depth, INODE_RECORDS, INODE_BLOCK_SIZE);
}

/** @param inodeSeed checksum seed of the inode the block belongs to */
export function encodeExtentBlock(block: ExtentBlock, inodeSeed: number): Uint8Array {
  const bytes = encodeNode(block.records, block.depth, BLOCK_RECORDS, BLOCK_SIZE);
  const tail = (BLOCK_RECORDS + 1) * EXTENT_RECORD_SIZE;
  viewOf(bytes).setUint32(tail, crc32c(inodeSeed, bytes.subarray(0, tail)), true);
  return bytes;
}

function encodeNode(records: readonly (Extent | ExtentBlock)[], depth: number, max: number, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  const header = viewOf(bytes);
  setField(header, EXTENT_HEADER.magic, EXTENT_MAGIC);
  setField(header, EXTENT_HEADER.entries, records.length);
  setField(header, EXTENT_HEADER.max, max);
  setField(header, EXTENT_HEADER.depth, depth);
  for (const [index, record] of records.entries()) {
    const view = viewOf(bytes.subarray((index + 1) * EXTENT_RECORD_SIZE));
    if ("count" in record) {
      setField(view, EXTENT.block, record.block);
      setField(view, EXTENT.length, record.count);
      setField(view, EXTENT.startLo, record.start);
    } else {
      setField(view, EXTENT_INDEX.block, firstBlock(record));
      setField(view, EXTENT_INDEX.leafLo, record.place);
    }
  }
  return bytes;
}

function firstBlock(record: Extent | ExtentBlock): number {
  let first = record;
  while (!("count" in first)) first = first.records[0] as Extent | ExtentBlock;
  return first.block;
}
