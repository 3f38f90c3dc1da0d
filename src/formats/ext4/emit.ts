import { crc32c } from "../../lib/bytes/crc32c.ts";
import type { Piece } from "../../lib/bytes/piece.ts";
import { fileSystemSeed, inodeSeed } from "./checksums.ts";
import { encodeExtentRoot } from "./extents.ts";
import type { Group } from "./geometry.ts";
import { encodeInode, type InodeFields, type Timestamp } from "./inode.ts";
import type { Inventory } from "./inventory.ts";
import { itemInode, itemParts } from "./items.ts";
import { BLOCK_SIZE, INO, INODE_SIZE, SUPERBLOCK_OFFSET } from "./layout.ts";
import { type Part, part } from "./part.ts";
import { countUsed, encodeBlockBitmap, encodeInodeBitmap, PLACED_KINDS, type Placement } from "./placement.ts";
import { journalInode, journalSize, reservedParts, resizeInode } from "./reserved-inodes.ts";
import { encodeDescriptor, encodeSuperblock, type GroupUsage } from "./superblock.ts";

/** What identifies a file system beyond its tree. */
export interface Identity {
  readonly uuid: Uint8Array;
  readonly hashSeed: Uint8Array;
  readonly time: Timestamp;
  readonly label: Uint8Array;
  readonly reservedBlocks: number;
}

/** Everything that is encoded from a finished layout, in ascending order. */
export function* emitPieces<C>(
  inventory: Inventory<C>,
  placement: Placement,
  identity: Identity,
): Generator<Piece<C>, void, void> {
  const seed = fileSystemSeed(identity.uuid);
  const fixed = [...groupParts(inventory, placement, identity), ...reservedParts<C>(placement, seed)];
  fixed.sort((a, b) => a.block - b.block);
  let next = 0;
  // Places were given in ascending order, so the parts of the tree need no sorting as a whole.
  for (const kind of PLACED_KINDS) {
    for (let index = 0; index < inventory.count; index++) {
      const item = inventory.itemAt(index);
      if (item.kind !== kind) continue;
      for (const one of itemParts(item, placement.places.get(index), seed).sort((a, b) => a.block - b.block)) {
        for (let before = fixed[next]; before !== undefined && before.block < one.block; before = fixed[++next]) {
          yield* before.make();
        }
        yield* one.make();
      }
    }
  }
  for (const rest of fixed.slice(next)) yield* rest.make();
}

/** Superblock and descriptors with their copies, bitmaps and inode tables. */
function groupParts<C>(inventory: Inventory<C>, placement: Placement, identity: Identity): Part<C>[] {
  const { geometry, usedRuns } = placement;
  const { groups, inodesPerGroup } = geometry;
  const seed = fileSystemSeed(identity.uuid);
  const { lastIno } = inventory;
  const usedInodes = (group: Group): number =>
    Math.max(0, Math.min(inodesPerGroup, lastIno - group.index * inodesPerGroup));
  const blockBitmap = (group: Group): Uint8Array => encodeBlockBitmap(usedRuns, group.start, group.blockCount);
  const inodeBitmap = (group: Group): Uint8Array => encodeInodeBitmap(usedInodes(group), inodesPerGroup);

  const inodeAt = inodeLookup(inventory, placement, identity.time);
  const firstIno = (group: Group): number => group.index * inodesPerGroup + 1;

  const directories = new Map<number, number>();
  for (let index = 0; index < inventory.count; index++) {
    const { ino, kind } = inventory.itemAt(index);
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
  inventory: Inventory<C>,
  placement: Placement,
  time: Timestamp,
): (ino: number) => InodeFields | undefined {
  return (ino) => {
    if (ino === INO.RESIZE) return resizeInode(placement, time);
    if (ino === INO.JOURNAL) return placement.journal && journalInode(placement.journal, time);
    const index = ino === INO.ROOT ? 0 : ino - INO.LOST_AND_FOUND + 1;
    if (index < 0 || (index === 0 && ino !== INO.ROOT)) return undefined;
    return itemInode(inventory.itemAt(index), placement.places.get(index), time);
  };
}
