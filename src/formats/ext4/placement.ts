import { buildExtentTree, type Extent, type ExtentTree, joinExtents, toExtents } from "./extents.ts";
import type { Geometry } from "./geometry.ts";
import type { Inventory, Segment } from "./inventory.ts";
import { BLOCK_SIZE } from "./layout.ts";
import { PlaceTable } from "./place-table.ts";
import { type Run, RunAllocator } from "./runs.ts";

/** Where the blocks of one inode are. */
export interface Place {
  readonly extents: readonly Extent[];
  readonly tree: ExtentTree;
  /** 0 when the attributes need no block. */
  readonly xattrBlock: number;
  /** All blocks of the inode: data, extent tree and attributes. */
  readonly blockCount: number;
}

export interface Placement {
  readonly geometry: Geometry;
  /** Double indirect block of the resize inode. */
  readonly resizeBlock: number;
  readonly journal: Place | undefined;
  /** Of items, by index. */
  readonly places: Pick<PlaceTable, "get">;
  /** Everything in use, ascending and joined as far as the fixed runs are. */
  readonly usedRuns: readonly Run[];
  readonly freeBlocks: number;
  /** Blocks that did not fit; the places are of no use unless this is 0. */
  readonly missing: number;
}

/**
 * Gives everything a place, from the lowest free block upwards: journal, directories, then contents in the order of
 * their inodes, so that a file is split only by the fixed parts of a group.
 */
export function placeAll(inventory: Inventory<unknown>, geometry: Geometry, journalBlocks: number): Placement {
  const allocator = new RunAllocator(geometry.fixed, geometry.blockCount);
  const takeBlock = (): number => allocator.take(1)[0]?.start ?? 0;

  const place = (segments: readonly Segment[], needsXattrBlock: boolean): Place => {
    const xattrBlock = needsXattrBlock ? takeBlock() : 0;
    const extents = joinExtents(segments.flatMap(({ block, count }) => toExtents(block, allocator.take(count))));
    const tree = buildExtentTree(extents, takeBlock);
    const dataBlocks = segments.reduce((sum, { count }) => sum + count, 0);
    return { extents, tree, xattrBlock, blockCount: dataBlocks + tree.blocks.length + (needsXattrBlock ? 1 : 0) };
  };

  const resizeBlock = takeBlock();
  const journal = journalBlocks === 0 ? undefined : place([{ block: 0, count: journalBlocks }], false);
  const places = new PlaceTable(inventory.count);
  for (const kind of PLACED_KINDS) {
    for (let index = 0; index < inventory.count; index++) {
      const item = inventory.itemAt(index);
      if (item.kind === kind) places.set(index, place(item.segments, item.xattrs.inBlock.length > 0));
    }
  }

  const usedRuns = [
    { start: 0, count: allocator.cursor },
    ...geometry.fixed.filter((run) => run.start >= allocator.cursor),
  ];
  const usedBlocks = usedRuns.reduce((sum, { count }) => sum + count, 0);
  return {
    geometry,
    resizeBlock,
    journal,
    places,
    usedRuns,
    freeBlocks: geometry.blockCount - usedBlocks,
    missing: allocator.missing,
  };
}

/** The order in which items are given their places. */
export const PLACED_KINDS = ["directory", "leaf"] as const;

/** Bits of the part of `runs` that lies in `count` blocks from `start`. */
export function encodeBlockBitmap(runs: readonly Run[], start: number, count: number): Uint8Array {
  const bitmap = new Uint8Array(BLOCK_SIZE);
  for (const run of runs) {
    const from = Math.max(run.start, start);
    const to = Math.min(run.start + run.count, start + count);
    if (from < to) setBits(bitmap, from - start, to - start);
  }
  // Blocks beyond the end of a short group count as in use.
  setBits(bitmap, count, BLOCK_SIZE * 8);
  return bitmap;
}

/** The first `used` of `count` inodes; bits beyond `count` are set. */
export function encodeInodeBitmap(used: number, count: number): Uint8Array {
  const bitmap = new Uint8Array(BLOCK_SIZE);
  setBits(bitmap, 0, used);
  setBits(bitmap, count, BLOCK_SIZE * 8);
  return bitmap;
}

/** How many of `count` blocks from `start` lie in `runs`. */
export function countUsed(runs: readonly Run[], start: number, count: number): number {
  return runs.reduce((sum, run) => {
    const from = Math.max(run.start, start);
    const to = Math.min(run.start + run.count, start + count);
    return sum + Math.max(0, to - from);
  }, 0);
}

function setBits(bitmap: Uint8Array, from: number, to: number): void {
  const firstWhole = Math.ceil(from / 8);
  const lastWhole = Math.floor(to / 8);
  if (firstWhole > lastWhole) {
    for (let bit = from; bit < to; bit++) setBit(bitmap, bit);
    return;
  }
  for (let bit = from; bit < firstWhole * 8; bit++) setBit(bitmap, bit);
  bitmap.fill(0xff, firstWhole, lastWhole);
  for (let bit = lastWhole * 8; bit < to; bit++) setBit(bitmap, bit);
}

function setBit(bitmap: Uint8Array, bit: number): void {
  bitmap[bit >> 3] = (bitmap[bit >> 3] as number) | (1 << (bit & 7));
}
