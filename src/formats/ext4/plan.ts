import type { Piece } from "../../lib/bytes/piece.ts";
import { FormatError, quote } from "../../lib/errors.ts";
import { emitPieces } from "./emit.ts";
import { BYTES_PER_INODE, computeGeometry, defaultJournalBlocks, tooSmall } from "./geometry.ts";
import { requireTime, type Timestamp } from "./inode.ts";
import { type Inventory, takeInventory } from "./inventory.ts";
import { BLOCK_SIZE, LABEL_SIZE } from "./layout.ts";
import { type Placement, placeAll } from "./placement.ts";
import type { Ext4Directory } from "./tree.ts";

export interface Ext4Options {
  /** 16 bytes in the order of the text form. */
  readonly uuid: Uint8Array;
  /** 16 bytes; orders the entries of large directories. */
  readonly hashSeed: Uint8Array;
  /** Time of making, and of the last change of every inode. */
  readonly time: Timestamp;
  /** At most 16 bytes of UTF-8. */
  readonly label?: string;
  /** Bytes; the smallest that holds the tree and `freeSize` when absent. */
  readonly size?: number;
  /** Bytes that must be left for files to come. */
  readonly freeSize?: number;
  /** At least; by default one for each 16 KiB, and those of the tree beside one for each 16 KiB of `freeSize`. */
  readonly inodeCount?: number;
  /** Bytes, a multiple of 4096, 0 for none; by default what mke2fs takes for the size. */
  readonly journalSize?: number;
  /**
   * Bytes that the file system can grow to while nothing has to move; by default 1024-fold, as mke2fs has it.
   * resize2fs 1.47.0 gives up beyond; the kernel, asked while mounted, goes on with meta_bg.
   */
  readonly maxSize?: number;
  /** Bytes that only the superuser may fill. */
  readonly reservedSize?: number;
}

/** An ext4 file system that is laid out and can be written. */
export interface Ext4Plan<C> {
  /** Bytes; up to one block group less than asked for, when the last one would have had no room for itself. */
  readonly size: number;
  readonly freeSize: number;
  readonly inodeCount: number;
  readonly freeInodes: number;
  readonly journalSize: number;
  /** In ascending order; what is between them is zero. Contents are those of the tree. */
  pieces(): Generator<Piece<C>, void, void>;
}

/** Smallest journal of the kernel (JBD2_MIN_JOURNAL_BLOCKS). */
const JOURNAL_MIN_BLOCKS = 1024;

/**
 * Lays out an ext4 file system that holds a tree and that a kernel can mount, change and grow.
 *
 * Holds the metadata of the tree, never contents. Equal input gives equal bytes.
 *
 * @throws {FormatError} `ext4.too-small`, `ext4.too-large`, `ext4.too-few-inodes`, `ext4.label`, `ext4.journal-size`;
 *   and for trees that ext4 cannot store, with the path: `ext4.name`, `ext4.name-reserved`, `ext4.symlink`, `ext4.links`,
 *   `ext4.time`, `ext4.xattr-name`, `ext4.xattrs-too-large`, `ext4.acl`, `ext4.content-ranges`, `ext4.verity`,
 *   `ext4.directory-too-large`
 */
export function planExt4<C>(root: Ext4Directory<C>, options: Ext4Options): Ext4Plan<C> {
  const label = Buffer.from(options.label ?? "", "utf8");
  if (label.length > LABEL_SIZE) {
    throw new FormatError("ext4.label", {
      what: "ext4 label",
      expected: `at most ${LABEL_SIZE} bytes`,
      found: quote(options.label ?? ""),
    });
  }
  const { uuid, hashSeed, time } = options;
  requireTime(time);
  const inventory = takeInventory(root, hashSeed);
  const placement = placeInSize(inventory, options);
  const { geometry, freeBlocks, journal } = placement;
  const inodeCount = geometry.inodesPerGroup * geometry.groups.length;
  const reservedBlocks = Math.floor((options.reservedSize ?? 0) / BLOCK_SIZE);
  return {
    size: geometry.blockCount * BLOCK_SIZE,
    freeSize: freeBlocks * BLOCK_SIZE,
    inodeCount,
    freeInodes: inodeCount - inventory.lastIno,
    journalSize: (journal?.blockCount ?? 0) * BLOCK_SIZE,
    pieces: () => emitPieces(inventory, placement, { uuid, hashSeed, time, label, reservedBlocks }),
  };
}

/** Tries the size asked for; without one, grows until everything fits: each attempt tells how many blocks it lacked. */
function placeInSize(inventory: Inventory<unknown>, options: Ext4Options): Placement {
  const free = Math.ceil((options.freeSize ?? 0) / BLOCK_SIZE);
  const shortGroup = options.size === undefined ? "extend" : "drop";
  const demand = {
    inodes: inventory.lastIno,
    freeInodes: Math.ceil((options.freeSize ?? 0) / BYTES_PER_INODE),
    requestedInodes: options.inodeCount,
    maxBlocks: options.maxSize === undefined ? undefined : Math.ceil(options.maxSize / BLOCK_SIZE),
    shortGroup,
  } as const;
  let blocks = options.size === undefined ? free + countBlocks(inventory) : Math.floor(options.size / BLOCK_SIZE);
  for (;;) {
    const geometry = computeGeometry(blocks, demand);
    const placement = placeAll(inventory, geometry, journalBlocks(geometry.blockCount, options));
    const missing = placement.missing + Math.max(0, free - placement.freeBlocks);
    if (missing === 0) return placement;
    if (options.size !== undefined) throw tooSmall(geometry.blockCount + missing, blocks);
    blocks = geometry.blockCount + missing;
  }
}

function countBlocks(inventory: Inventory<unknown>): number {
  let blocks = 0;
  for (let index = 0; index < inventory.count; index++) {
    for (const { count } of inventory.itemAt(index).segments) blocks += count;
  }
  return blocks;
}

function journalBlocks(blockCount: number, { journalSize }: Ext4Options): number {
  if (journalSize === undefined) return defaultJournalBlocks(blockCount);
  const blocks = journalSize / BLOCK_SIZE;
  if (!Number.isInteger(blocks) || (blocks !== 0 && blocks < JOURNAL_MIN_BLOCKS)) {
    throw new FormatError("ext4.journal-size", {
      what: "ext4 journal size",
      expected: `0 or a multiple of ${BLOCK_SIZE} from ${JOURNAL_MIN_BLOCKS * BLOCK_SIZE} on`,
      found: `${journalSize} bytes`,
    });
  }
  return blocks;
}
