import { byteStringToBytes } from "../../lib/bytes/byte-string.ts";
import { viewOf } from "../../lib/bytes/field.ts";
import type { Piece } from "../../lib/bytes/piece.ts";
import { fileSystemSeed, inodeSeed } from "./checksums.ts";
import { crc32c } from "./crc32c.ts";
import { encodeDirectory } from "./directory.ts";
import { type Extent, encodeExtentBlock, encodeExtentRoot } from "./extents.ts";
import type { Group } from "./geometry.ts";
import { encodeInode, type InodeFields, type Timestamp } from "./inode.ts";
import type { DirectoryItem, Item } from "./inventory.ts";
import { encodeJournalSuperblock } from "./journal.ts";
import { BLOCK_SIZE, INO, INODE_BLOCK_SIZE, INODE_FLAG, INODE_SIZE, SUPERBLOCK_OFFSET } from "./layout.ts";
import { countUsed, encodeBlockBitmap, encodeInodeBitmap, type Place, type Placement } from "./placement.ts";
import { encodeDescriptor, encodeSuperblock, type GroupUsage } from "./superblock.ts";
import type { Ext4File, Ext4Leaf } from "./tree.ts";
import { verityOffset } from "./verity.ts";
import { encodeXattrBlock } from "./xattrs.ts";

/** What identifies a file system beyond its tree. */
export interface Identity {
  readonly uuid: Uint8Array;
  readonly hashSeed: Uint8Array;
  readonly time: Timestamp;
  readonly label: Uint8Array;
  readonly reservedBlocks: number;
}

/** A piece that is made when its turn has come. */
interface Part<C> {
  readonly block: number;
  readonly make: () => Iterable<Piece<C>>;
}

/** Everything that is encoded from a finished layout, in ascending order. */
export function* emitPieces<C>(
  items: readonly Item<C>[],
  placement: Placement<C>,
  identity: Identity,
): Generator<Piece<C>, void, void> {
  const parts = [
    ...groupParts(items, placement, identity),
    ...systemParts(placement, fileSystemSeed(identity.uuid)),
    ...items.flatMap((item) => itemParts(item, placeOf(placement, item), fileSystemSeed(identity.uuid))),
  ];
  parts.sort((a, b) => a.block - b.block);
  for (const part of parts) yield* part.make();
}

const placeOf = <C>(placement: Placement<C>, item: Item<C>): Place => placement.places.get(item) as Place;

const bytesAt = (block: number, bytes: Uint8Array): { offset: number; bytes: Uint8Array } => ({
  offset: block * BLOCK_SIZE,
  bytes,
});

const part = <C>(block: number, make: () => Uint8Array): Part<C> => ({ block, make: () => [bytesAt(block, make())] });

/** Superblock and descriptors with their copies, bitmaps and inode tables. */
function groupParts<C>(items: readonly Item<C>[], placement: Placement<C>, identity: Identity): Part<C>[] {
  const { geometry, usedRuns } = placement;
  const { groups, inodesPerGroup } = geometry;
  const seed = fileSystemSeed(identity.uuid);
  const lastIno = (items.at(-1) as Item<C>).ino;
  const usedInodes = (group: Group): number =>
    Math.max(0, Math.min(inodesPerGroup, lastIno - group.index * inodesPerGroup));
  const blockBitmap = (group: Group): Uint8Array => encodeBlockBitmap(usedRuns, group.start, group.blockCount);
  const inodeBitmap = (group: Group): Uint8Array => encodeInodeBitmap(usedInodes(group), inodesPerGroup);

  const inodeAt = inodeLookup(items, placement, identity.time);
  const firstIno = (group: Group): number => group.index * inodesPerGroup + 1;

  const directories = new Map<number, number>();
  for (const { kind, ino } of items) {
    const group = Math.floor((ino - 1) / inodesPerGroup);
    if (kind === "directory") directories.set(group, (directories.get(group) ?? 0) + 1);
  }
  const usage = (group: Group): GroupUsage => ({
    freeBlocks: group.blockCount - countUsed(usedRuns, group.start, group.blockCount),
    usedInodes: usedInodes(group),
    usedDirs: directories.get(group.index) ?? 0,
    blockBitmapCsum: crc32c(seed, blockBitmap(group)),
    inodeBitmapCsum: crc32c(seed, inodeBitmap(group).subarray(0, inodesPerGroup / 8)),
  });

  const descriptors = Buffer.concat(groups.map((group) => encodeDescriptor(group, usage(group), inodesPerGroup, seed)));
  const superblock = {
    ...identity,
    geometry,
    freeBlocks: placement.freeBlocks,
    freeInodes: inodesPerGroup * groups.length - lastIno,
    journal: placement.journal && {
      iBlock: encodeExtentRoot(placement.journal.tree),
      size: journalSize(placement.journal),
    },
  };
  const copy = (group: Group): Uint8Array => {
    const bytes = new Uint8Array(BLOCK_SIZE + descriptors.length);
    bytes.set(encodeSuperblock(superblock, group.index), group.index === 0 ? SUPERBLOCK_OFFSET : 0);
    bytes.set(descriptors, BLOCK_SIZE);
    return bytes;
  };

  return groups.flatMap((group) => [
    ...(group.hasSuper ? [part<C>(group.start, () => copy(group))] : []),
    part<C>(group.blockBitmap, () => blockBitmap(group)),
    part<C>(group.inodeBitmap, () => inodeBitmap(group)),
    ...(usedInodes(group) > 0
      ? [part<C>(group.inodeTable, () => encodeInodeTable(inodeAt, firstIno(group), usedInodes(group), seed))]
      : []),
  ]);
}

/** The used inodes of a group; the rest of the table stays zero. */
function encodeInodeTable(
  inodeAt: (ino: number) => InodeFields | undefined,
  firstIno: number,
  count: number,
  seed: number,
): Uint8Array {
  const table = new Uint8Array(count * INODE_SIZE);
  for (let index = 0; index < count; index++) {
    const ino = firstIno + index;
    const fields = inodeAt(ino);
    if (fields !== undefined) table.set(encodeInode(fields, inodeSeed(seed, ino, 0)), index * INODE_SIZE);
  }
  return table;
}

/** Looks up what an inode number stands for; most reserved numbers stand for nothing. */
function inodeLookup<C>(
  items: readonly Item<C>[],
  placement: Placement<C>,
  time: Timestamp,
): (ino: number) => InodeFields | undefined {
  return (ino) => {
    if (ino === INO.RESIZE) return resizeInode(placement, time);
    if (ino === INO.JOURNAL) return placement.journal && journalInode(placement.journal, time);
    const item =
      ino === INO.ROOT ? items[0] : ino >= INO.LOST_AND_FOUND ? items[ino - INO.LOST_AND_FOUND + 1] : undefined;
    return item && itemInode(item, placeOf(placement, item), time);
  };
}

const systemInode = { mode: 0o600, uid: 0, gid: 0, links: 1, xattrBlock: 0, xattrs: [], kind: "file" } as const;

function journalInode(journal: Place, time: Timestamp): InodeFields {
  return {
    ...systemInode,
    size: journalSize(journal),
    blocks: journal.blockCount,
    flags: INODE_FLAG.EXTENTS,
    iBlock: encodeExtentRoot(journal.tree),
    modified: time,
    changed: time,
  };
}

const journalSize = (journal: Place): number => journal.extents.reduce((sum, { count }) => sum + count, 0) * BLOCK_SIZE;

/** Block numbers in an indirect block, and direct blocks of an inode without extents. */
const ADDRESSES = BLOCK_SIZE / 4;
const DIRECT_BLOCKS = 12;
const DOUBLE_INDIRECT = 13;

/** A file whose double indirect tree is the blocks reserved behind every copy of the group descriptors. */
function resizeInode<C>({ resizeBlock, geometry }: Placement<C>, time: Timestamp): InodeFields {
  const iBlock = new Uint8Array(INODE_BLOCK_SIZE);
  viewOf(iBlock).setUint32(DOUBLE_INDIRECT * 4, resizeBlock, true);
  const copies = geometry.groups.filter(({ hasSuper }) => hasSuper).length;
  return {
    ...systemInode,
    size: (DIRECT_BLOCKS + ADDRESSES + ADDRESSES * ADDRESSES) * BLOCK_SIZE,
    blocks: 1 + geometry.reservedGdtBlocks * copies,
    flags: 0,
    iBlock,
    modified: time,
    changed: time,
  };
}

/** The blocks of the reserved inodes: indirect blocks of the resize inode, start of the journal. */
function systemParts<C>({ geometry, resizeBlock, journal }: Placement<C>, seed: number): Part<C>[] {
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

function itemInode<C>(item: Item<C>, place: Place, changed: Timestamp): InodeFields {
  const { meta } = item.node;
  return {
    kind: item.node.kind,
    mode: meta.mode,
    uid: meta.uid,
    gid: meta.gid,
    size: itemSize(item),
    links: item.links,
    blocks: place.blockCount,
    ...itemBlock(item, place),
    xattrBlock: place.xattrBlock,
    xattrs: item.xattrs.inInode,
    modified: { sec: meta.mtimeSec, nsec: meta.mtimeNsec },
    changed,
  };
}

function itemSize<C>(item: Item<C>): number {
  if (item.kind === "directory") return item.layout.blockCount * BLOCK_SIZE;
  if (item.node.kind === "file") return item.node.size;
  return item.node.kind === "symlink" ? item.node.target.length : 0;
}

/** i_flags and i_block, which belong together. */
function itemBlock<C>(item: Item<C>, place: Place): Pick<InodeFields, "flags" | "iBlock"> {
  const extents = { flags: INODE_FLAG.EXTENTS, iBlock: encodeExtentRoot(place.tree) };
  if (item.kind === "directory") {
    return item.layout.kind === "indexed" ? { ...extents, flags: extents.flags | INODE_FLAG.INDEX } : extents;
  }
  const { node } = item;
  switch (node.kind) {
    case "file":
      return node.verity === undefined ? extents : { ...extents, flags: extents.flags | INODE_FLAG.VERITY };
    case "symlink":
      return item.segments.length > 0 ? extents : { flags: 0, iBlock: byteStringToBytes(node.target) };
    case "char":
    case "block":
      return { flags: 0, iBlock: encodeDevice(node.rdev) };
    default:
      return { flags: 0, iBlock: new Uint8Array(0) };
  }
}

/** The first word for devices that fit in 8 + 8 bits, the second in the encoding of user space for the others. */
function encodeDevice(rdev: number): Uint8Array {
  const words = new DataView(new ArrayBuffer(8));
  words.setUint32(rdev < 0x1_0000 ? 0 : 4, rdev, true);
  return new Uint8Array(words.buffer);
}

/** Blocks that belong to one inode of the tree. */
function itemParts<C>(item: Item<C>, place: Place, fileSystem: number): Part<C>[] {
  const seed = inodeSeed(fileSystem, item.ino, 0);
  const { xattrBlock, tree } = place;
  const { inBlock } = item.xattrs;
  return [
    ...(xattrBlock === 0 ? [] : [part<C>(xattrBlock, () => encodeXattrBlock(inBlock, fileSystem, xattrBlock))]),
    ...tree.blocks.map((block) => part<C>(block.place, () => encodeExtentBlock(block, seed))),
    ...(item.kind === "directory" ? directoryParts(item, place, seed) : leafParts(item.node, place)),
  ];
}

function directoryParts<C>(item: DirectoryItem<C>, place: Place, seed: number): Part<C>[] {
  const encode = (): Uint8Array => encodeDirectory(item.layout, { ino: item.ino, parentIno: item.parentIno, seed });
  const [only] = place.extents;
  if (only?.count === item.layout.blockCount) return [part(only.start, encode)];
  return place.extents.map((extent) =>
    part(extent.start, () => encode().subarray(extent.block * BLOCK_SIZE, (extent.block + extent.count) * BLOCK_SIZE)),
  );
}

function leafParts<C>(node: Ext4Leaf<C>, place: Place): Part<C>[] {
  if (node.kind === "file") {
    return place.extents.map((extent) => ({ block: extent.start, make: () => filePieces(node, extent) }));
  }
  if (node.kind !== "symlink") return [];
  return place.extents.map(({ start }) => part(start, () => byteStringToBytes(node.target)));
}

/** What an extent of a file stores: data, Merkle tree and descriptor, whichever of them lie in it. */
function* filePieces<C>({ size, content, verity }: Ext4File<C>, extent: Extent): Generator<Piece<C>, void, void> {
  const first = extent.block * BLOCK_SIZE;
  const end = first + extent.count * BLOCK_SIZE;
  /** The part of `size` bytes at `at` of the file that lies in the extent. */
  const clip = (at: number, size: number): { offset: number; from: number; size: number } | undefined => {
    const from = Math.max(at, first);
    const to = Math.min(at + size, end);
    return from < to
      ? { offset: extent.start * BLOCK_SIZE + from - first, from: from - at, size: to - from }
      : undefined;
  };

  const data = clip(0, size);
  if (data !== undefined) yield { ...data, content };
  if (verity === undefined) return;
  const treeAt = verityOffset(size);
  const tree = clip(treeAt, verity.treeSize);
  if (tree !== undefined) yield { ...tree, content: verity.tree };
  const descriptor = clip(treeAt + verity.treeSize, BLOCK_SIZE);
  if (descriptor !== undefined) yield { offset: descriptor.offset, bytes: encodeVerityTail(verity.descriptor) };
}

/** The last block of a verity file: the descriptor at its start, the descriptor's size in its last four bytes. */
function encodeVerityTail(descriptor: Uint8Array): Uint8Array {
  const block = new Uint8Array(BLOCK_SIZE);
  block.set(descriptor);
  viewOf(block).setUint32(BLOCK_SIZE - 4, descriptor.length, true);
  return block;
}
