import { alignUp, showSize } from "../../lib/bytes/numbers.ts";
import { FormatError } from "../../lib/errors.ts";
import {
  BLOCK_SIZE,
  BLOCKS_PER_GROUP,
  DESCRIPTORS_PER_BLOCK,
  GROUPS_PER_FLEX,
  INODE_SIZE,
  INODES_PER_BLOCK,
} from "./layout.ts";
import { joinRuns, type Run } from "./runs.ts";

/** Where the fixed parts of one block group are, in blocks. */
export interface Group {
  readonly index: number;
  readonly start: number;
  /** 32768, except in the last group. */
  readonly blockCount: number;
  /** Has a copy of the superblock and of the group descriptors. */
  readonly hasSuper: boolean;
  readonly blockBitmap: number;
  readonly inodeBitmap: number;
  readonly inodeTable: number;
}

export interface Geometry {
  readonly blockCount: number;
  readonly inodesPerGroup: number;
  readonly inodeTableBlocks: number;
  readonly descriptorBlocks: number;
  /** Blocks behind every copy of the descriptors that they may grow into. */
  readonly reservedGdtBlocks: number;
  readonly groups: readonly Group[];
  /** Everything that the groups have at fixed places, joined and ascending. */
  readonly fixed: readonly Run[];
}

export interface GeometryDemand {
  /** Inodes that the tree needs. */
  readonly inodes: number;
  /** Inodes that must be left for files to come. */
  readonly freeInodes: number;
  /** Inodes that the user wants; one for each 16 KiB by default. */
  readonly requestedInodes: number | undefined;
  /** Blocks that the file system can grow to in place; 1024 times as many by default. */
  readonly maxBlocks: number | undefined;
  readonly shortGroup: "drop" | "extend";
}

/** Bytes of file system for each inode, the default of mke2fs. */
export const BYTES_PER_INODE = 16_384;
/** The bitmap of a group is one block. */
const INODES_PER_GROUP_MAX = BLOCKS_PER_GROUP;
/** Block numbers of 32 bits keep the resize inode usable: just below 16 TiB. */
const BLOCK_COUNT_MAX = 0xffff_ffff;
/** Block numbers in an indirect block, and so the most that the resize inode can reserve. */
const ADDRESSES_PER_BLOCK = BLOCK_SIZE / 4;
/** Fewest blocks besides its own metadata that make a short last group worth having (mke2fs). */
const LAST_GROUP_MIN_FREE = 50;

/** RO_COMPAT_SPARSE_SUPER: groups 0 and 1, and the powers of 3, 5 and 7. */
export function hasSuper(group: number): boolean {
  return group <= 1 || [3, 5, 7].some((base) => isPowerOf(base, group));
}

function isPowerOf(base: number, value: number): boolean {
  let power = base;
  while (power < value) power *= base;
  return power === value;
}

/**
 * Divides a number of blocks into groups the way mke2fs does.
 *
 * A short last group without room for its own metadata is dropped or extended, so `blockCount` may differ from `blocks`.
 *
 * @throws {FormatError} `ext4.too-large`, `ext4.too-few-inodes`, `ext4.too-small`
 */
export function computeGeometry(blocks: number, demand: GeometryDemand): Geometry {
  if (blocks > BLOCK_COUNT_MAX) {
    throw new FormatError("ext4.too-large", {
      what: "ext4 size",
      expected: `at most ${BLOCK_COUNT_MAX} blocks`,
      found: `${blocks} blocks`,
    });
  }
  const groupCount = Math.max(1, Math.ceil(blocks / BLOCKS_PER_GROUP));
  const wanted =
    demand.requestedInodes ??
    Math.max(demand.inodes + demand.freeInodes, Math.floor((blocks * BLOCK_SIZE) / BYTES_PER_INODE));
  const inodesPerGroup = Math.min(alignUp(Math.ceil(wanted / groupCount), INODES_PER_BLOCK), INODES_PER_GROUP_MAX);
  if (inodesPerGroup * groupCount < demand.inodes) {
    throw new FormatError("ext4.too-few-inodes", {
      what: "ext4 inodes",
      expected: `at least ${demand.inodes} for the tree`,
      found: `${inodesPerGroup * groupCount}, in ${showSize(blocks * BLOCK_SIZE)}`,
    });
  }
  const inodeTableBlocks = (inodesPerGroup * INODE_SIZE) / BLOCK_SIZE;
  const descriptorBlocks = Math.ceil(groupCount / DESCRIPTORS_PER_BLOCK);
  const reservedGdtBlocks = countReservedGdtBlocks(demand.maxBlocks ?? blocks * 1024, descriptorBlocks);
  const superBlocks = 1 + descriptorBlocks + reservedGdtBlocks;

  const lastGroupBlocks = blocks - (groupCount - 1) * BLOCKS_PER_GROUP;
  const lastGroupMin = 2 + inodeTableBlocks + (hasSuper(groupCount - 1) ? superBlocks : 0) + LAST_GROUP_MIN_FREE;
  if (lastGroupBlocks < lastGroupMin) {
    const without = (groupCount - 1) * BLOCKS_PER_GROUP;
    if (demand.shortGroup === "extend") return computeGeometry(without + lastGroupMin, demand);
    if (groupCount === 1) throw tooSmall(lastGroupMin, blocks);
    return computeGeometry(without, demand);
  }

  const copies = Array.from({ length: groupCount }, (_, index) => index)
    .filter(hasSuper)
    .map((index) => ({ start: index * BLOCKS_PER_GROUP, count: superBlocks }));
  const groups = placeGroups({ blocks, groupCount, inodeTableBlocks, copies });
  const placed = groups.flatMap((group) => [
    { start: group.blockBitmap, count: 1 },
    { start: group.inodeBitmap, count: 1 },
    { start: group.inodeTable, count: inodeTableBlocks },
  ]);
  const fixed = joinRuns([...copies, ...placed]);
  const last = fixed.at(-1) as Run;
  const end = last.start + last.count;
  if (end > blocks) {
    if (demand.shortGroup === "extend") return computeGeometry(end, demand);
    throw tooSmall(end, blocks);
  }
  return {
    blockCount: blocks,
    inodesPerGroup,
    inodeTableBlocks,
    descriptorBlocks,
    reservedGdtBlocks,
    groups,
    fixed,
  };
}

const showBlocks = (count: number): string => `${count} blocks (${showSize(count * BLOCK_SIZE)})`;

export function tooSmall(neededBlocks: number, blocks: number): FormatError {
  return new FormatError(
    "ext4.too-small",
    { what: "ext4 size", expected: `at least ${showBlocks(neededBlocks)}`, found: showBlocks(blocks) },
    { data: { neededBytes: neededBlocks * BLOCK_SIZE, bytes: blocks * BLOCK_SIZE } },
  );
}

/** Room for the descriptors of `maxBlocks`, as far as the resize inode reaches. */
function countReservedGdtBlocks(maxBlocks: number, descriptorBlocks: number): number {
  const maxGroups = Math.ceil(Math.min(maxBlocks, BLOCK_COUNT_MAX) / BLOCKS_PER_GROUP);
  return Math.max(0, Math.min(Math.ceil(maxGroups / DESCRIPTORS_PER_BLOCK) - descriptorBlocks, ADDRESSES_PER_BLOCK));
}

/** INCOMPAT_FLEX_BG: bitmaps and inode tables of 16 groups lie together at the start of the first one. */
function placeGroups(size: {
  blocks: number;
  groupCount: number;
  inodeTableBlocks: number;
  copies: readonly Run[];
}): Group[] {
  const groups: Group[] = [];
  let cursor = 0;
  const place = (count: number): number => {
    for (const copy of size.copies) {
      if (cursor + count <= copy.start) break;
      cursor = Math.max(cursor, copy.start + copy.count);
    }
    const at = cursor;
    cursor += count;
    return at;
  };
  for (let flex = 0; flex < size.groupCount; flex += GROUPS_PER_FLEX) {
    const members = Array.from({ length: Math.min(GROUPS_PER_FLEX, size.groupCount - flex) }, (_, i) => flex + i);
    cursor = Math.max(cursor, flex * BLOCKS_PER_GROUP);
    const blockBitmaps = members.map(() => place(1));
    const inodeBitmaps = members.map(() => place(1));
    const inodeTables = members.map(() => place(size.inodeTableBlocks));
    for (const [i, index] of members.entries()) {
      const start = index * BLOCKS_PER_GROUP;
      groups.push({
        index,
        start,
        blockCount: Math.min(BLOCKS_PER_GROUP, size.blocks - start),
        hasSuper: hasSuper(index),
        blockBitmap: blockBitmaps[i] as number,
        inodeBitmap: inodeBitmaps[i] as number,
        inodeTable: inodeTables[i] as number,
      });
    }
  }
  return groups;
}

/** Size of the journal in blocks by size of the file system, from e2fsprogs (ext2fs_default_journal_size). */
const JOURNAL_SIZES: readonly (readonly [fsBlocksBelow: number, journalBlocks: number])[] = [
  [2048, 0],
  [32_768, 1024],
  [256 * 1024, 4096],
  [512 * 1024, 8192],
  [4096 * 1024, 16_384],
  [8192 * 1024, 32_768],
  [16_384 * 1024, 65_536],
  [32_768 * 1024, 131_072],
];

export function defaultJournalBlocks(blockCount: number): number {
  return JOURNAL_SIZES.find(([below]) => blockCount < below)?.[1] ?? 262_144;
}
