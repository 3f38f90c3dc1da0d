/**
 * Where the writers of composefs images differ: libcomposefs (versions 0 and 1) and composefs-rs (version 2).
 *
 * Nothing here is a rule of EROFS; the kernel would mount other choices just as well. The digest is over these bytes.
 *
 * @see composefs specification, sections 6.1 and 6.8 to 6.11
 */
import { alignUp } from "../../lib/bytes/numbers.ts";
import type { ErofsContent } from "./inode.ts";
import { BLOCK_BITS, BLOCK_SIZE, SLOT_SIZE } from "./layout.ts";
import { compareByFullName, compareByStoredName, type Xattr } from "./xattr.ts";

/** The composefs version in the header of an image. */
export type ComposefsVersion = 0 | 1 | 2;

/** The measures of one inode while it looks for its place. */
export interface Spot {
  position: number;
  /** Inode header and xattrs, in bytes; the xattrs alone. */
  body: number;
  xattrs: number;
  /** Bytes after the xattrs, and blocks elsewhere. */
  tail: number;
  blocks: number;
  size: number;
}

export interface LayoutRules {
  /** Compact inodes where they suffice; they take the build time of the image, its least mtime, as theirs. */
  readonly compactInodes: boolean;
  /** Inode numbers are nids; else places in the list of inodes. */
  readonly numberedByNid: boolean;
  readonly nanoseconds: boolean;
  readonly lustrePrefix: boolean;
  /** References to shared xattrs count from the block where the table starts; else from the start of the image. */
  readonly relativeReferences: boolean;
  readonly aclFlag: boolean;
  compareShared(this: void, a: Xattr, b: Xattr): number;
  splitInline(this: void, size: number): { readonly blocks: number; readonly tail: number };
  chunkFormat(this: void, size: number): number;
  chunkCount(this: void, size: number, backed: boolean): number;
  /** Moves the inode, and its tail into a block, as the writer does it. */
  place(this: void, spot: Spot, kind: ErofsContent["kind"]): void;
}

/** A tail up to this size stays behind its inode: directories always, inline files in V0 and V1. */
export const TAIL_MAX = 2048;

const blockOf = (offset: number): number => Math.floor(offset / BLOCK_SIZE);

/** The directory rule, and libcomposefs's for inline files. */
export function splitTail(size: number): { readonly blocks: number; readonly tail: number } {
  const blocks = blockOf(size);
  const tail = size % BLOCK_SIZE;
  return tail > TAIL_MAX ? { blocks: blocks + 1, tail: 0 } : { blocks, tail };
}

/** Chunk sizes that the five bits of a chunk format can tell: 2^12 to 2^43. */
const CHUNK_BITS_MAX = BLOCK_BITS + 31;

function chunkBits(size: number): number {
  if (size <= BLOCK_SIZE) return BLOCK_BITS;
  if (size <= 2 ** 31) return 32 - Math.clz32(size - 1);
  let bits = 32;
  while (bits < CHUNK_BITS_MAX && 2 ** bits < size) bits++;
  return bits;
}

const LIBCOMPOSEFS: LayoutRules = {
  compactInodes: true,
  numberedByNid: false,
  nanoseconds: true,
  lustrePrefix: false,
  relativeReferences: true,
  aclFlag: true,
  compareShared: (a, b) => compareByFullName(b, a),
  splitInline: splitTail,
  chunkFormat: (size) => chunkBits(size) - BLOCK_BITS,
  chunkCount: (size) => Math.ceil(size / 2 ** chunkBits(size)),

  place(spot, kind) {
    if (kind === "symlink") {
      // The target moves into a block when it does not fit one with its inode, yet the inode is moved as if it stayed.
      const total = spot.body + spot.tail;
      if (total >= BLOCK_SIZE) {
        spot.blocks = 1;
        spot.tail = 0;
      }
      if (blockOf(spot.position) !== blockOf(spot.position + total - 1)) {
        spot.position = alignUp(spot.position, BLOCK_SIZE);
      }
      return;
    }
    if (kind === "chunks" && spot.tail + (spot.xattrs % SLOT_SIZE) > BLOCK_SIZE) {
      spot.blocks = 1;
      spot.tail = 0;
      spot.position = alignUp(spot.position, BLOCK_SIZE);
      return;
    }
    const room = BLOCK_SIZE - ((spot.position + spot.body) % BLOCK_SIZE);
    if (spot.tail > room) spot.position += alignUp(room, SLOT_SIZE);
  },
};

const COMPOSEFS_RS_2: LayoutRules = {
  compactInodes: false,
  numberedByNid: true,
  nanoseconds: false,
  lustrePrefix: true,
  relativeReferences: false,
  aclFlag: false,
  compareShared: compareByStoredName,
  splitInline: (size) => ({ blocks: 0, tail: size }),
  chunkFormat: () => 31,
  chunkCount: (_size, backed) => (backed ? 1 : 0),

  place(spot, kind) {
    if (spot.tail === 0 || kind === "chunks") return;
    // Looks one byte past the tail, so a tail that ends with its block moves as well.
    const bodyEnd = spot.position + spot.body - 1;
    if (blockOf(bodyEnd) !== blockOf(bodyEnd + 1 + (spot.size % BLOCK_SIZE))) {
      spot.position = alignUp(spot.position + BLOCK_SIZE - (bodyEnd % BLOCK_SIZE), SLOT_SIZE);
    }
  },
};

export const layoutRules = (version: ComposefsVersion): LayoutRules => (version === 2 ? COMPOSEFS_RS_2 : LIBCOMPOSEFS);
