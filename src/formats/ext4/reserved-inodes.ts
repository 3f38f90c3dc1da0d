import { viewOf } from "../../lib/bytes/field.ts";
import { inodeSeed } from "./checksums.ts";
import { type Extent, encodeExtentBlock, encodeExtentRoot } from "./extents.ts";
import type { InodeFields, Timestamp } from "./inode.ts";
import { encodeJournalSuperblock } from "./journal.ts";
import { BLOCK_SIZE, INO, INODE_BLOCK_SIZE, INODE_FLAG } from "./layout.ts";
import { type Part, part } from "./part.ts";
import type { Place, Placement } from "./placement.ts";

const reservedInode = { mode: 0o600, uid: 0, gid: 0, links: 1, xattrBlock: 0, xattrs: [], kind: "file" } as const;

export function journalInode(journal: Place, time: Timestamp): InodeFields {
  return {
    ...reservedInode,
    size: journalSize(journal),
    blocks: journal.blockCount,
    flags: INODE_FLAG.EXTENTS,
    iBlock: encodeExtentRoot(journal.tree),
    modified: time,
    changed: time,
  };
}

export const journalSize = (journal: Place): number =>
  journal.extents.reduce((sum, { count }) => sum + count, 0) * BLOCK_SIZE;

/** Block numbers in an indirect block, and direct blocks of an inode without extents. */
const ADDRESSES = BLOCK_SIZE / 4;
const DIRECT_BLOCKS = 12;
const DOUBLE_INDIRECT = 13;

/** A file whose double indirect tree is the blocks reserved behind every copy of the group descriptors. */
export function resizeInode({ resizeBlock, geometry }: Placement, time: Timestamp): InodeFields {
  const iBlock = new Uint8Array(INODE_BLOCK_SIZE);
  viewOf(iBlock).setUint32(DOUBLE_INDIRECT * 4, resizeBlock, true);
  const copies = geometry.groups.filter(({ hasSuper }) => hasSuper).length;
  return {
    ...reservedInode,
    size: (DIRECT_BLOCKS + ADDRESSES + ADDRESSES * ADDRESSES) * BLOCK_SIZE,
    blocks: 1 + geometry.reservedGdtBlocks * copies,
    flags: 0,
    iBlock,
    modified: time,
    changed: time,
  };
}

/** The blocks of the reserved inodes: indirect blocks of the resize inode, start of the journal. */
export function reservedParts<C>({ geometry, resizeBlock, journal }: Placement, seed: number): Part<C>[] {
  const { descriptorBlocks, reservedGdtBlocks, groups } = geometry;
  const reserved = Array.from({ length: reservedGdtBlocks }, (_, i) => 1 + descriptorBlocks + i);
  const backups = groups.filter(({ index, hasSuper }) => index > 0 && hasSuper).map(({ start }) => start);
  const doubleIndirect = (): Uint8Array =>
    encodeAddresses(reserved.map((block, i) => [(descriptorBlocks + i) % ADDRESSES, block]));
  const indirect = (block: number): Uint8Array => encodeAddresses(backups.map((start, i) => [i, start + block]));
  return [
    part(resizeBlock, doubleIndirect),
    ...(backups.length === 0 ? [] : reserved.map((block) => part<C>(block, () => indirect(block)))),
    ...(journal === undefined ? [] : journalParts<C>(journal, inodeSeed(seed, INO.JOURNAL, 0))),
  ];
}

/** All but the first block of the journal stay zero. A large one has more extents than its inode holds. */
function journalParts<C>(journal: Place, seed: number): Part<C>[] {
  const [first] = journal.extents;
  return [
    part((first as Extent).start, () => encodeJournalSuperblock(journalSize(journal) / BLOCK_SIZE)),
    ...journal.tree.blocks.map((block) => part<C>(block.place, () => encodeExtentBlock(block, seed))),
  ];
}

function encodeAddresses(addresses: readonly (readonly [index: number, block: number])[]): Uint8Array {
  const bytes = new Uint8Array(BLOCK_SIZE);
  const view = viewOf(bytes);
  for (const [index, block] of addresses) view.setUint32(index * 4, block, true);
  return bytes;
}
