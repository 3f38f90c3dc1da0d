/**
 * On-disk structures of EROFS, and the composefs header in front of it. All integers are little-endian.
 *
 * @see Linux fs/erofs/erofs_fs.h; Documentation/filesystems/erofs.rst, "On-disk details"
 * @see composefs libcomposefs/erofs_fs_wrapper.h and lcfs-erofs-internal.h for the header at byte 0
 */
import type { Field } from "../../lib/bytes/field.ts";

/** The header of a composefs image, at byte 0; zeros up to the superblock. */
export const COMPOSEFS_HEADER = {
  magic: [0, 4],
  version: [4, 4],
  flags: [8, 4],
  composefsVersion: [12, 4],
} as const satisfies Record<string, Field>;

export const COMPOSEFS_MAGIC = 0xd078629a;
export const COMPOSEFS_HEADER_VERSION = 1;
export const COMPOSEFS_HEADER_SIZE = 32;
/** Some inode has a POSIX ACL. */
export const COMPOSEFS_FLAG_HAS_ACL = 1;

/** struct erofs_super_block. */
export const SUPERBLOCK = {
  magic: [0, 4],
  checksum: [4, 4],
  featureCompat: [8, 4],
  blockBits: [12, 1],
  extSlots: [13, 1],
  rootNid: [14, 2],
  inodeCount: [16, 8],
  buildTime: [24, 8],
  buildTimeNsec: [32, 4],
  blockCount: [36, 4],
  metaBlock: [40, 4],
  xattrBlock: [44, 4],
  featureIncompat: [80, 4],
  compressionAlgorithms: [84, 2],
  extraDevices: [86, 2],
  xattrPrefixCount: [91, 1],
  packedNid: [96, 8],
} as const satisfies Record<string, Field>;

export const SUPERBLOCK_OFFSET = 1024;
export const SUPERBLOCK_SIZE = 128;
export const SUPERBLOCK_MAGIC = 0xe0f5e1e2;

export const FEATURE_COMPAT = { checksum: 1, mtime: 2, xattrFilter: 4 } as const;
export const FEATURE_INCOMPAT = { chunkedFile: 4, xattrPrefixes: 0x40 } as const;

export const BLOCK_BITS = 12;
export const BLOCK_SIZE = 4096;
/** An inode starts at a multiple of this; its nid is its offset from the meta block in slots. */
export const SLOT_SIZE = 32;

/** struct erofs_inode_compact, 32 bytes: no times, short ids. */
export const COMPACT_INODE = {
  format: [0, 2],
  xattrCount: [2, 2],
  mode: [4, 2],
  nlink: [6, 2],
  size: [8, 4],
  union: [16, 4],
  ino: [20, 4],
  uid: [24, 2],
  gid: [26, 2],
} as const satisfies Record<string, Field>;
export const COMPACT_INODE_SIZE = 32;

/** struct erofs_inode_extended, 64 bytes. */
export const EXTENDED_INODE = {
  format: [0, 2],
  xattrCount: [2, 2],
  mode: [4, 2],
  size: [8, 8],
  union: [16, 4],
  ino: [20, 4],
  uid: [24, 4],
  gid: [28, 4],
  mtimeSec: [32, 8],
  mtimeNsec: [40, 4],
  nlink: [44, 4],
} as const satisfies Record<string, Field>;
export const EXTENDED_INODE_SIZE = 64;

/** Bit 0 of the inode format. */
export const INODE_EXTENDED = 1;
/** Bits 1..3 of the inode format; 1 and 3 are compressed. */
export const INODE_LAYOUT = {
  flatPlain: 0,
  compressedFull: 1,
  flatInline: 2,
  compressedCompact: 3,
  chunkBased: 4,
} as const;

/** The union field of a chunk-based inode: chunk size in bits above the block size, then flags. */
export const CHUNK_FORMAT = { bitsMask: 0x1f, indexes: 0x20 } as const;
/** A block address that stands for no block: a hole, or content that overlayfs finds elsewhere. */
export const NULL_ADDRESS = 0xffffffff;

/** struct erofs_dirent; names follow the entries of their block. */
export const DIRENT = { nid: [0, 8], nameOffset: [8, 2], fileType: [10, 1] } as const satisfies Record<string, Field>;
export const DIRENT_SIZE = 12;

/** File type bits of a mode (stat.h) and the type in a directory entry. */
export const MODE_TYPE = {
  fifo: 0o010000,
  char: 0o020000,
  directory: 0o040000,
  block: 0o060000,
  file: 0o100000,
  symlink: 0o120000,
  socket: 0o140000,
} as const;
export const MODE_TYPE_MASK = 0o170000;

/** By mode type >> 12; 0 where there is no such type. */
export const DIRENT_TYPE: readonly number[] = [0, 5, 3, 0, 2, 0, 4, 0, 1, 0, 7, 0, 6, 0, 0, 0];

/** struct erofs_xattr_ibody_header, followed by 4-byte references to shared entries, then by local entries. */
export const XATTR_BODY = { nameFilter: [0, 4], sharedCount: [4, 1] } as const satisfies Record<string, Field>;
export const XATTR_BODY_SIZE = 12;

/** struct erofs_xattr_entry, followed by name, value and padding to 4. */
export const XATTR_ENTRY = { nameLength: [0, 1], nameIndex: [1, 1], valueSize: [2, 2] } as const satisfies Record<
  string,
  Field
>;
export const XATTR_ENTRY_SIZE = 4;

/** Prefixes that a name index stands for; an entry stores the rest. */
export const XATTR_PREFIXES: readonly string[] = [
  "",
  "user.",
  "system.posix_acl_access",
  "system.posix_acl_default",
  "trusted.",
  "lustre.",
  "security.",
];
/** Set in the name index of an entry with a long prefix of the image's own. */
export const XATTR_LONG_PREFIX = 0x80;

/** Seed of the name filter's hash; the name index is added. */
export const XATTR_FILTER_SEED = 0x25bbe08f;
