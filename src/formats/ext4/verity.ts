import { viewOf } from "../../lib/bytes/field.ts";
import { FormatError } from "../../lib/errors.ts";
import { BLOCK_SIZE, VERITY_METADATA_ALIGNMENT } from "./layout.ts";
import { type FileRange, readFileRanges } from "./read-extents.ts";
import { type Ext4Inode, readFile } from "./read-inode.ts";
import type { Ext4Volume } from "./volume.ts";

/** Where the Merkle tree of a file of `size` bytes starts, in bytes of the file. */
export function verityOffset(size: number): number {
  return Math.ceil(size / VERITY_METADATA_ALIGNMENT) * VERITY_METADATA_ALIGNMENT;
}

/** struct fsverity_descriptor without a signature. */
const DESCRIPTOR_SIZE = 256;

/** Bytes of the metadata with a Merkle tree of `treeSize` bytes. */
export const verityMetadataSize = (treeSize: number): number => treeSize + BLOCK_SIZE;

/**
 * The metadata behind the end of a verity file: the Merkle tree, then a block with the descriptor at its start and the
 * descriptor's size in its last four bytes.
 *
 * @param tree as stored: the root's level first, every level a multiple of 4096 bytes; may be empty
 * @param descriptor struct fsverity_descriptor, 256 bytes
 * @throws {FormatError} `ext4.verity`
 */
export function encodeVerityMetadata(tree: Uint8Array, descriptor: Uint8Array): Uint8Array {
  if (tree.length % BLOCK_SIZE !== 0 || descriptor.length !== DESCRIPTOR_SIZE) {
    throw new FormatError("ext4.verity", {
      what: "fs-verity metadata",
      expected: `a tree of whole blocks and a descriptor of ${DESCRIPTOR_SIZE} bytes`,
      found: `a tree of ${tree.length} bytes and a descriptor of ${descriptor.length}`,
    });
  }
  const bytes = new Uint8Array(verityMetadataSize(tree.length));
  bytes.set(tree);
  bytes.set(descriptor, tree.length);
  viewOf(bytes).setUint32(bytes.length - 4, descriptor.length, true);
  return bytes;
}

/** Where a file's metadata for fs-verity is, and its descriptor. */
export interface VerityMetadata {
  readonly descriptor: Uint8Array;
  /** Of the Merkle tree, in bytes of the file. */
  readonly treeOffset: number;
  readonly treeSize: number;
}

/** Safety limit, not a format rule: a descriptor without built-in signature has 256 bytes. */
const DESCRIPTOR_MAX = 16_384;

/**
 * Finds the fs-verity metadata behind the end of a file, as the kernel does: from the end of the last extent.
 *
 * @throws {FormatError} `ext4.verity.*`
 * @see Linux fs/ext4/verity.c
 */
export function readVerityMetadata(volume: Ext4Volume, inode: Ext4Inode): VerityMetadata {
  const what = `ext4 inode ${inode.ino}: fs-verity metadata`;
  const last: FileRange | undefined = readFileRanges(volume, inode).at(-1);
  const end = last === undefined ? 0 : last.offset + last.size;
  const treeOffset = verityOffset(inode.size);
  if (!inode.isVerity || end - volume.blockSize < treeOffset) {
    throw new FormatError("ext4.verity.missing", {
      what,
      expected: `blocks from byte ${treeOffset} of the file on`,
      found: inode.isVerity ? `${end}, the end of the last extent` : "a file without the flag",
    });
  }
  const lastBlock = Buffer.concat([...readFile(volume, inode, end - volume.blockSize, volume.blockSize)]);
  const size = lastBlock.readUInt32LE(volume.blockSize - 4);
  const descriptorAt = Math.floor((end - 4 - size) / volume.blockSize) * volume.blockSize;
  if (size === 0 || size > DESCRIPTOR_MAX || descriptorAt < treeOffset) {
    throw new FormatError("ext4.verity.descriptor-size", {
      what: `${what}: size of the descriptor`,
      offset: end - 4,
      expected: `1 to ${Math.min(DESCRIPTOR_MAX, end - 4 - treeOffset)}`,
      found: String(size),
    });
  }
  const descriptor = Buffer.concat([...readFile(volume, inode, descriptorAt, size)]);
  return { descriptor, treeOffset, treeSize: descriptorAt - treeOffset };
}
