/**
 * On-disk constants of ext4; all integers are little-endian, except in the journal.
 *
 * @see Linux Documentation/filesystems/ext4
 */
import type { Field } from "../../lib/bytes/field.ts";

/** The block size we write. The reader takes others. */
export const BLOCK_SIZE = 4096;
/** One bit of a bitmap block for every block of a group. */
export const BLOCKS_PER_GROUP = BLOCK_SIZE * 8;
export const INODE_SIZE = 256;
export const DESCRIPTOR_SIZE = 64;
export const INODES_PER_BLOCK = BLOCK_SIZE / INODE_SIZE;
export const DESCRIPTORS_PER_BLOCK = BLOCK_SIZE / DESCRIPTOR_SIZE;
export const GROUPS_PER_FLEX = 16;

/** globals.rst, "Special inodes". */
export const INO = { ROOT: 2, RESIZE: 7, JOURNAL: 8, LOST_AND_FOUND: 11 } as const;
/** First inode that is not reserved; ours is always lost+found. */
export const FIRST_INO = 11;

export const SUPERBLOCK_OFFSET = 1024;
export const SUPERBLOCK_SIZE = 1024;
export const SUPERBLOCK_MAGIC = 0xef53;

/** super.rst. */
export const SUPERBLOCK = {
  inodesCount: [0x00, 4],
  blocksCountLo: [0x04, 4],
  reservedBlocksLo: [0x08, 4],
  freeBlocksLo: [0x0c, 4],
  freeInodes: [0x10, 4],
  firstDataBlock: [0x14, 4],
  logBlockSize: [0x18, 4],
  logClusterSize: [0x1c, 4],
  blocksPerGroup: [0x20, 4],
  clustersPerGroup: [0x24, 4],
  inodesPerGroup: [0x28, 4],
  writeTime: [0x30, 4],
  maxMountCount: [0x36, 2],
  magic: [0x38, 2],
  state: [0x3a, 2],
  errors: [0x3c, 2],
  lastCheck: [0x40, 4],
  revision: [0x4c, 4],
  firstIno: [0x54, 4],
  inodeSize: [0x58, 2],
  blockGroup: [0x5a, 2],
  compat: [0x5c, 4],
  incompat: [0x60, 4],
  roCompat: [0x64, 4],
  reservedGdtBlocks: [0xce, 2],
  journalInum: [0xe0, 4],
  defaultHashVersion: [0xfc, 1],
  journalBackupType: [0xfd, 1],
  descriptorSize: [0xfe, 2],
  defaultMountOptions: [0x100, 4],
  makeTime: [0x108, 4],
  blocksCountHi: [0x150, 4],
  reservedBlocksHi: [0x154, 4],
  freeBlocksHi: [0x158, 4],
  minExtraIsize: [0x15c, 2],
  wantExtraIsize: [0x15e, 2],
  flags: [0x160, 4],
  logGroupsPerFlex: [0x174, 1],
  checksumType: [0x175, 1],
  checksumSeed: [0x270, 4],
  writeTimeHi: [0x274, 1],
  makeTimeHi: [0x276, 1],
  lastCheckHi: [0x277, 1],
  checksum: [0x3fc, 4],
} as const satisfies Record<string, Field>;
export const SUPERBLOCK_UUID = 0x68;
export const SUPERBLOCK_LABEL = 0x78;
export const LABEL_SIZE = 16;
export const SUPERBLOCK_HASH_SEED = 0xec;
/** Copy of the journal inode's i_block, i_size_high and i_size. */
export const SUPERBLOCK_JOURNAL_BACKUP = 0x10c;

export const COMPAT = { HAS_JOURNAL: 0x4, EXT_ATTR: 0x8, RESIZE_INODE: 0x10, DIR_INDEX: 0x20 } as const;
export const INCOMPAT = {
  FILETYPE: 0x2,
  RECOVER: 0x4,
  EXTENTS: 0x40,
  "64BIT": 0x80,
  FLEX_BG: 0x200,
  CSUM_SEED: 0x2000,
} as const;
export const RO_COMPAT = {
  SPARSE_SUPER: 0x1,
  LARGE_FILE: 0x2,
  HUGE_FILE: 0x8,
  DIR_NLINK: 0x20,
  EXTRA_ISIZE: 0x40,
  METADATA_CSUM: 0x400,
  VERITY: 0x8000,
} as const;
/** Features with data of their own outside the tree, which is why a tree that is written anew would lose them. */
export const RO_COMPAT_QUOTA = 0x100;
export const RO_COMPAT_PROJECT = 0x2000;

/** s_state and s_errors. */
export const STATE_CLEAN = 1;
/** The kernel found errors. */
export const STATE_ERRORS = 2;
export const ERRORS_CONTINUE = 1;
/** s_default_mount_opts: user_xattr and acl, as mke2fs sets them. */
export const DEFAULT_MOUNT_OPTIONS = 0x4 | 0x8;
/** s_flags: names are hashed as unsigned bytes. */
export const FLAGS_UNSIGNED_HASH = 0x2;
/** Half MD4: s_def_hash_version and dx_root_info. */
export const HASH_HALF_MD4 = 1;

/** group_descr.rst. */
export const DESCRIPTOR = {
  blockBitmapLo: [0x00, 4],
  inodeBitmapLo: [0x04, 4],
  inodeTableLo: [0x08, 4],
  freeBlocksLo: [0x0c, 2],
  freeInodesLo: [0x0e, 2],
  usedDirsLo: [0x10, 2],
  flags: [0x12, 2],
  blockBitmapCsumLo: [0x18, 2],
  inodeBitmapCsumLo: [0x1a, 2],
  inodeTableUnusedLo: [0x1c, 2],
  checksum: [0x1e, 2],
  blockBitmapHi: [0x20, 4],
  inodeBitmapHi: [0x24, 4],
  inodeTableHi: [0x28, 4],
  freeBlocksHi: [0x2c, 2],
  freeInodesHi: [0x2e, 2],
  usedDirsHi: [0x30, 2],
  inodeTableUnusedHi: [0x32, 2],
  blockBitmapCsumHi: [0x38, 2],
  inodeBitmapCsumHi: [0x3a, 2],
} as const satisfies Record<string, Field>;
/** bg_flags: the inode table is zeroed already, the kernel need not do it in the background. */
export const BG_INODE_ZEROED = 0x4;

/** inodes.rst. */
export const INODE = {
  mode: [0x00, 2],
  uid: [0x02, 2],
  sizeLo: [0x04, 4],
  atime: [0x08, 4],
  ctime: [0x0c, 4],
  mtime: [0x10, 4],
  gid: [0x18, 2],
  links: [0x1a, 2],
  blocksLo: [0x1c, 4],
  flags: [0x20, 4],
  generation: [0x64, 4],
  fileAclLo: [0x68, 4],
  sizeHi: [0x6c, 4],
  blocksHi: [0x74, 2],
  fileAclHi: [0x76, 2],
  uidHi: [0x78, 2],
  gidHi: [0x7a, 2],
  checksumLo: [0x7c, 2],
  extraIsize: [0x80, 2],
  checksumHi: [0x82, 2],
  ctimeExtra: [0x84, 4],
  mtimeExtra: [0x88, 4],
  atimeExtra: [0x8c, 4],
  crtime: [0x90, 4],
  crtimeExtra: [0x94, 4],
} as const satisfies Record<string, Field>;
export const INODE_BLOCK = 0x28;
export const INODE_BLOCK_SIZE = 60;
/** Fields after the first 128 bytes that we write: up to and with i_projid. */
export const EXTRA_ISIZE = 32;

export const INODE_FLAG = { INDEX: 0x1000, EXTENTS: 0x80000, VERITY: 0x100000, INLINE_DATA: 0x1000_0000 } as const;
/** What `chattr` sets and what says nothing about how an inode is stored: s, u, S, i, a, d, A, D, T. */
export const CHATTR_FLAGS = 0x1 | 0x2 | 0x8 | 0x10 | 0x20 | 0x40 | 0x80 | 0x1_0000 | 0x2_0000;

/** Type bits of i_mode and ftype of directory entries, by kind. */
export const KINDS = {
  file: { mode: 0o100000, entryType: 1 },
  directory: { mode: 0o040000, entryType: 2 },
  char: { mode: 0o020000, entryType: 3 },
  block: { mode: 0o060000, entryType: 4 },
  fifo: { mode: 0o010000, entryType: 5 },
  socket: { mode: 0o140000, entryType: 6 },
  symlink: { mode: 0o120000, entryType: 7 },
} as const;
export type Kind = keyof typeof KINDS;

/** EXT4_LINK_MAX; a directory with more sub-directories says 1 (RO_COMPAT DIR_NLINK). */
export const LINK_MAX = 65_000;
export const NAME_MAX = 255;
/** A target of this many bytes or more has a block of its own. */
export const FAST_SYMLINK_LIMIT = INODE_BLOCK_SIZE;

/** ifork.rst, "Extent Tree". */
export const EXTENT_MAGIC = 0xf30a;
export const EXTENT_RECORD_SIZE = 12;
/** Longest initialized extent, in blocks; above it an extent is unwritten. */
export const EXTENT_LENGTH_MAX = 32_768;
export const EXTENT_HEADER = {
  magic: [0, 2],
  entries: [2, 2],
  max: [4, 2],
  depth: [6, 2],
} as const satisfies Record<string, Field>;
export const EXTENT = {
  block: [0, 4],
  length: [4, 2],
  startHi: [6, 2],
  startLo: [8, 4],
} as const satisfies Record<string, Field>;
export const EXTENT_INDEX = {
  block: [0, 4],
  leafLo: [4, 4],
  leafHi: [8, 2],
} as const satisfies Record<string, Field>;

/** directory.rst. */
export const DIR_ENTRY = {
  inode: [0, 4],
  recordLength: [4, 2],
  nameLength: [6, 1],
  fileType: [7, 1],
} as const satisfies Record<string, Field>;
export const DIR_ENTRY_HEADER_SIZE = 8;
/** An entry that no name can have ends a block and holds its checksum. */
export const DIR_TAIL_SIZE = 12;
export const DIR_TAIL_TYPE = 0xde;

/** attributes.rst. */
export const XATTR_MAGIC = 0xea02_0000;
export const XATTR_ENTRY_SIZE = 16;
export const XATTR_ENTRY = {
  nameLength: [0, 1],
  nameIndex: [1, 1],
  valueOffset: [2, 2],
  valueInum: [4, 4],
  valueSize: [8, 4],
  hash: [12, 4],
} as const satisfies Record<string, Field>;
export const XATTR_BLOCK_HEADER_SIZE = 32;
export const XATTR_BLOCK = {
  magic: [0, 4],
  references: [4, 4],
  blocks: [8, 4],
  hash: [12, 4],
  checksum: [16, 4],
} as const satisfies Record<string, Field>;

/** e_name_index, and the part of the name it stands for. Longer prefixes first. */
export const XATTR_PREFIXES = [
  [2, "system.posix_acl_access"],
  [3, "system.posix_acl_default"],
  [1, "user."],
  [4, "trusted."],
  [6, "security."],
] as const;

/** fs/ext4/verity.c: verity metadata starts at the next multiple of this after the data. */
export const VERITY_METADATA_ALIGNMENT = 65_536;
