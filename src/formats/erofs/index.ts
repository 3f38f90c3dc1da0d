/**
 * EROFS images as composefs uses them: metadata only, file contents are objects elsewhere.
 *
 *     0     composefs header: magic, composefs version 0, 1 or 2
 *     1024  superblock
 *     1152  inodes, each at a multiple of 32: header, xattrs, inline tail
 *           shared xattrs
 *           blocks of 4096 bytes: directories, longer inline contents and link targets
 *
 * Written: by the rules of libcomposefs (versions 0 and 1) and of composefs-rs (version 2), see `rules.ts`.
 * Read: these, and images of mkfs.erofs without compression.
 * Not supported: compression, several devices, long xattr name prefixes; the checksum is not looked at.
 *
 * @see Linux Documentation/filesystems/erofs.rst and fs/erofs/erofs_fs.h
 */
export type { ErofsContent, ErofsInode } from "./inode.ts";
export { MODE_TYPE, MODE_TYPE_MASK } from "./layout.ts";
export { type ErofsPlan, planErofs } from "./plan.ts";
export { ErofsImage, openErofs } from "./read.ts";
export type { DirectoryEntry } from "./read-directory.ts";
export type { StoredInode } from "./read-inode.ts";
export type { ErofsSuperblock } from "./read-superblock.ts";
export type { StoredXattr } from "./read-xattr.ts";
export { type ComposefsVersion, type LayoutRules, layoutRules } from "./rules.ts";
export { emitErofs, encodeErofs } from "./write.ts";
export { compareByFullName, type ValueForm, type Xattr, XattrPool } from "./xattr.ts";
