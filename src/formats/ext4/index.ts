/**
 * ext4: lay out and write a file system that a kernel can mount, change and grow; read one with its fs-verity metadata.
 *
 *     group 0    superblock | descriptors | reserved for growth |
 *                bitmaps and inode tables of 16 groups (flex_bg) | journal | directories | contents ...
 *     group 1    copy of superblock and descriptors | contents ...
 *     group 2    contents ...
 *
 *     verity file   data | hole up to 64 KiB × n | Merkle tree, root's level first | descriptor, 0.., size of it
 *
 * Written: blocks of 4096 and inodes of 256 bytes; has_journal, ext_attr, resize_inode, dir_index; filetype, extent,
 * 64bit, flex_bg; sparse_super, large_file, huge_file, dir_nlink, extra_isize, metadata_csum, verity.
 * Read: other block and inode sizes too, metadata_csum_seed; checksums are checked. A file system is changed by reading
 * its tree and writing it anew: see `readExt4Tree`.
 *
 * Not supported: meta_bg, bigalloc, inline data, attribute inodes, encryption, case folding, files without extents,
 * replaying a journal.
 *
 * @see Linux Documentation/filesystems/ext4
 */
export type { Timestamp } from "./inode.ts";
export { type EntryChange, type Ext4Patch, patchEntry, patchVerityAway } from "./patch.ts";
export { type Ext4Options, type Ext4Plan, planExt4 } from "./plan.ts";
export { type Ext4Entry, findInode, readDirectory } from "./read-directory.ts";
export { type FileRange, readFileRanges } from "./read-extents.ts";
export {
  type Ext4Inode,
  readFile,
  readInode,
  readLinkTarget,
} from "./read-inode.ts";
export { type MutableExt4Directory, readExt4Tree } from "./read-tree.ts";
export type {
  ContentRange,
  Ext4Directory,
  Ext4File,
  Ext4Leaf,
  Ext4Metadata,
  Ext4Node,
  Ext4Verity,
} from "./tree.ts";
export {
  encodeVerityMetadata,
  readVerityMetadata,
  type VerityMetadata,
  verityMetadataSize,
  verityOffset,
} from "./verity.ts";
export { type Ext4Volume, openExt4 } from "./volume.ts";
