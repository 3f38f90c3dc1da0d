/** The first pass over an image: where everything goes. */
import { alignUp } from "../../lib/bytes/numbers.ts";
import { FormatError } from "../../lib/errors.ts";
import { type PackedDirectory, packDirectory } from "./directory.ts";
import type { ErofsInode } from "./inode.ts";
import {
  BLOCK_SIZE,
  COMPACT_INODE_SIZE,
  EXTENDED_INODE_SIZE,
  SLOT_SIZE,
  SUPERBLOCK_OFFSET,
  SUPERBLOCK_SIZE,
  XATTR_BODY_SIZE,
} from "./layout.ts";
import { type ComposefsVersion, type LayoutRules, layoutRules, type Spot } from "./rules.ts";
import type { Xattr } from "./xattr.ts";

export interface Time {
  readonly sec: bigint;
  readonly nsec: number;
}

/** Everything that the second pass must know; arrays are by inode index. */
export interface ErofsPlan {
  readonly version: ComposefsVersion;
  readonly rules: LayoutRules;
  readonly inodes: readonly ErofsInode[];
  readonly leastMtime: Time;
  readonly positions: Float64Array;
  readonly sizes: Float64Array;
  readonly xattrSizes: Uint32Array;
  readonly tails: Uint32Array;
  /** Blocks of an inode, and the first one of them, counted from `dataBlock`. */
  readonly blocks: Float64Array;
  readonly firstBlocks: Float64Array;
  readonly compact: Uint8Array;
  readonly directories: ReadonlyMap<ErofsInode, PackedDirectory>;
  /** Entries of the shared table in order; each knows its offset. */
  readonly shared: readonly Xattr[];
  readonly hasAcl: boolean;
  /** End of the inodes, which is where the shared table starts. */
  readonly inodesEnd: number;
  readonly dataBlock: number;
  readonly imageSize: number;
}

/** Format limits: one byte of shared references; a 16-bit count of 4-byte units, the first standing for the header. */
const SHARED_MAX = 255;
const XATTRS_SIZE_MAX = XATTR_BODY_SIZE + 4 * 65_534;
/** The limit of libcomposefs and of one block of 4-byte chunk addresses. */
const CHUNKS_MAX = 1024;

/**
 * Finds the place of every inode, xattr and block.
 *
 * @param inodes in the order in which they are stored, the root first; each once
 * @throws {TypeError} when an inode is listed twice or was planned before
 * @throws {FormatError} `erofs.xattr.shared-count`, `erofs.xattr.total-size`, `erofs.file.size`, `erofs.name.length`
 */
export function planErofs(inodes: readonly ErofsInode[], version: ComposefsVersion): ErofsPlan {
  const rules = layoutRules(version);
  const count = inodes.length;
  const leastMtime = numberInodes(inodes);
  const { shared, hasAcl } = countXattrs(inodes, rules);
  const positions = new Float64Array(count);
  const sizes = new Float64Array(count);
  const xattrSizes = new Uint32Array(count);
  const tails = new Uint32Array(count);
  const blocks = new Float64Array(count);
  const firstBlocks = new Float64Array(count);
  const compact = new Uint8Array(count);
  const directories = new Map<ErofsInode, PackedDirectory>();

  const spot: Spot = { position: SUPERBLOCK_OFFSET + SUPERBLOCK_SIZE, body: 0, xattrs: 0, tail: 0, blocks: 0, size: 0 };
  let blockCount = 0;
  for (let index = 0; index < count; index++) {
    const inode = inodes[index] as ErofsInode;
    measure(inode, rules, spot, directories);
    const short = rules.compactInodes && fitsCompact(inode, spot.size, leastMtime);
    spot.xattrs = xattrsSize(inode);
    spot.body = (short ? COMPACT_INODE_SIZE : EXTENDED_INODE_SIZE) + spot.xattrs;
    spot.position = alignUp(spot.position, SLOT_SIZE);
    rules.place(spot, inode.content.kind);
    positions[index] = spot.position;
    sizes[index] = spot.size;
    xattrSizes[index] = spot.xattrs;
    tails[index] = spot.tail;
    blocks[index] = spot.blocks;
    firstBlocks[index] = blockCount;
    compact[index] = short ? 1 : 0;
    blockCount += spot.blocks;
    spot.position += spot.body + spot.tail;
  }

  const inodesEnd = alignUp(spot.position, SLOT_SIZE);
  let end = inodesEnd;
  for (const xattr of shared) {
    xattr.sharedOffset = end;
    end += xattr.size;
  }
  const dataBlock = Math.ceil(end / BLOCK_SIZE);
  const imageSize = (dataBlock + blockCount) * BLOCK_SIZE;
  return {
    version,
    rules,
    inodes,
    leastMtime,
    positions,
    sizes,
    xattrSizes,
    tails,
    blocks,
    firstBlocks,
    compact,
    directories,
    shared,
    hasAcl,
    inodesEnd,
    dataBlock,
    imageSize,
  };
}

/** Whether a time comes before `other` when seconds are taken as unsigned 64 bits, as composefs-rs compares them. */
function isEarlier(sec: bigint, nsec: number, other: Time): boolean {
  if (sec === other.sec) return nsec < other.nsec;
  return sec < 0n === other.sec < 0n ? sec < other.sec : other.sec < 0n;
}

function numberInodes(inodes: readonly ErofsInode[]): Time {
  let least: Time | undefined;
  for (let index = 0; index < inodes.length; index++) {
    const inode = inodes[index] as ErofsInode;
    if (inode.index !== -1) throw new TypeError("an inode is listed twice, or its image was planned before");
    inode.index = index;
    if (least === undefined || isEarlier(inode.mtimeSec, inode.mtimeNsec, least)) {
      least = { sec: inode.mtimeSec, nsec: inode.mtimeNsec };
    }
  }
  return least ?? { sec: 0n, nsec: 0 };
}

/** Counts the uses of every xattr. */
function countXattrs(inodes: readonly ErofsInode[], rules: LayoutRules): { shared: Xattr[]; hasAcl: boolean } {
  const shared: Xattr[] = [];
  let hasAcl = false;
  for (const { xattrs } of inodes) {
    for (const xattr of xattrs) {
      if (++xattr.uses === 2) shared.push(xattr);
      hasAcl ||= xattr.name.isAcl;
    }
  }
  return { shared: shared.sort(rules.compareShared), hasAcl };
}

function fitsCompact(inode: ErofsInode, size: number, leastMtime: Time): boolean {
  return (
    inode.mtimeNsec === leastMtime.nsec &&
    inode.mtimeSec === leastMtime.sec &&
    inode.nlink <= 0xffff &&
    inode.uid <= 0xffff &&
    inode.gid <= 0xffff &&
    size <= 0xffffffff
  );
}

function xattrsSize({ xattrs }: ErofsInode): number {
  if (xattrs.length === 0) return 0;
  let size = XATTR_BODY_SIZE;
  let sharedCount = 0;
  for (const xattr of xattrs) {
    if (xattr.uses > 1) sharedCount++;
    size += xattr.uses > 1 ? 4 : xattr.size;
  }
  if (sharedCount > SHARED_MAX)
    throw tooMuch("erofs.xattr.shared-count", "shared xattrs of one inode", SHARED_MAX, sharedCount);
  if (size > XATTRS_SIZE_MAX)
    throw tooMuch("erofs.xattr.total-size", "xattrs of one inode in bytes", XATTRS_SIZE_MAX, size);
  return size;
}

/** Size, blocks and tail that the content wants, before the inode has a place. */
function measure(
  inode: ErofsInode,
  rules: LayoutRules,
  spot: Spot,
  directories: Map<ErofsInode, PackedDirectory>,
): void {
  const { content } = inode;
  spot.blocks = 0;
  spot.tail = 0;
  spot.size = 0;
  switch (content.kind) {
    case "directory": {
      const packed = packDirectory(inode);
      directories.set(inode, packed);
      spot.blocks = packed.blocks;
      spot.tail = packed.tail;
      spot.size = packed.blocks * BLOCK_SIZE + packed.tail;
      return;
    }
    case "inline": {
      const { blocks, tail } = rules.splitInline(content.bytes.length);
      spot.blocks = blocks;
      spot.tail = tail;
      spot.size = content.bytes.length;
      return;
    }
    case "chunks": {
      const chunks = rules.chunkCount(content.size, content.backed);
      if (chunks > CHUNKS_MAX) throw tooMuch("erofs.file.size", "size of a file in bytes", 2 ** 53, content.size);
      spot.tail = 4 * chunks;
      spot.size = content.size;
      return;
    }
    case "symlink":
      spot.tail = content.target.length;
      spot.size = content.target.length;
      return;
    case "device":
    case "none":
      return;
    default:
      content satisfies never;
  }
}

function tooMuch(code: string, what: string, limit: number, found: number): FormatError {
  return new FormatError(code, { what, expected: `at most ${limit}`, found: String(found) });
}
