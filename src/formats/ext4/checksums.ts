import { CRC32C_START, crc32c, crc32cU32 } from "../../lib/bytes/crc32c.ts";
import { getField, setField, viewOf } from "../../lib/bytes/field.ts";
import { DESCRIPTOR, DIR_TAIL_SIZE, INODE, SUPERBLOCK_SIZE, XATTR_BLOCK } from "./layout.ts";

/** Checksums of metadata (RO_COMPAT_METADATA_CSUM), one function each. See checksums.rst in the kernel. */

/** Seed of everything but the superblock, from the file system's UUID. */
export const fileSystemSeed = (uuid: Uint8Array): number => crc32c(CRC32C_START, uuid);

export const inodeSeed = (seed: number, ino: number, generation: number): number =>
  crc32cU32(crc32cU32(seed, ino), generation);

export const superblockChecksum = (superblock: Uint8Array): number =>
  crc32c(CRC32C_START, superblock.subarray(0, SUPERBLOCK_SIZE - 4));

/** @returns the low 16 bits, as stored */
export function descriptorChecksum(seed: number, group: number, descriptor: Uint8Array): number {
  const [at] = DESCRIPTOR.checksum;
  const before = crc32c(crc32cU32(seed, group), descriptor.subarray(0, at));
  const zeros = crc32c(before, new Uint8Array(2));
  return crc32c(zeros, descriptor.subarray(at + 2)) & 0xffff;
}

export function inodeChecksum(seedOfInode: number, inode: Uint8Array): number {
  const zeroed = inode.slice();
  const view = viewOf(zeroed);
  setField(view, INODE.checksumLo, 0);
  if (hasChecksumHi(inode)) setField(view, INODE.checksumHi, 0);
  return crc32c(seedOfInode, zeroed);
}

/** Whether an inode is large enough for the upper half of its checksum. */
export const hasChecksumHi = (inode: Uint8Array): boolean =>
  inode.length > 128 && getField(viewOf(inode), INODE.extraIsize) >= INODE.checksumHi[0] + 2 - 128;

export const directoryBlockChecksum = (seedOfInode: number, block: Uint8Array): number =>
  crc32c(seedOfInode, block.subarray(0, block.length - DIR_TAIL_SIZE));

/** Of a block of a directory index: the counted entries, then 8 zero bytes for the tail. */
export const indexBlockChecksum = (seedOfInode: number, block: Uint8Array, entriesEnd: number): number =>
  crc32c(crc32c(seedOfInode, block.subarray(0, entriesEnd)), new Uint8Array(8));

export function xattrBlockChecksum(seed: number, place: number, block: Uint8Array): number {
  const [at] = XATTR_BLOCK.checksum;
  const placed = crc32cU32(crc32cU32(seed, place), Math.floor(place / 2 ** 32));
  const before = crc32c(placed, block.subarray(0, at));
  return crc32c(crc32c(before, new Uint8Array(4)), block.subarray(at + 4));
}
