import { byteStringToBytes } from "../../lib/bytes/byte-string.ts";
import type { Piece } from "../../lib/bytes/piece.ts";
import { inodeSeed } from "./checksums.ts";
import { encodeDirectory } from "./directory.ts";
import { type Extent, encodeExtentBlock, encodeExtentRoot } from "./extents.ts";
import type { InodeFields, Timestamp } from "./inode.ts";
import type { DirectoryItem, Item } from "./inventory.ts";
import { BLOCK_SIZE, INODE_FLAG } from "./layout.ts";
import { type Part, part } from "./part.ts";
import type { Place } from "./placement.ts";
import type { Ext4File, Ext4Leaf } from "./tree.ts";
import { verityOffset } from "./verity.ts";
import { encodeXattrBlock } from "./xattrs.ts";

/** The inode of an item of the tree. */
export function itemInode<C>(item: Item<C>, place: Place, changed: Timestamp): InodeFields {
  const { meta } = item.node;
  return {
    kind: item.node.kind,
    mode: meta.mode,
    uid: meta.uid,
    gid: meta.gid,
    size: itemSize(item),
    links: item.links,
    blocks: place.blockCount,
    ...withFlags(itemBlock(item, place), meta.flags ?? 0),
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

const withFlags = <F extends { readonly flags: number }>(fields: F, flags: number): F => ({
  ...fields,
  flags: fields.flags | flags,
});

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
export function itemParts<C>(item: Item<C>, place: Place, fileSystem: number): Part<C>[] {
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

/** What an extent of a file stores: data and fs-verity metadata, whichever of them lie in it. */
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
  const metadata = clip(verityOffset(size), verity.metadataSize);
  if (metadata !== undefined) yield { ...metadata, content: verity.metadata };
}
