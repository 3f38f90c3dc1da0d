/** Everything in a tar archive is a multiple of this: headers are one block, content is filled up with zeros. */
export const TAR_BLOCK_SIZE = 512;

/** POSIX.1-2024 pax, "ustar Interchange Format": `[offset, size]` of each header field. */
export const TAR_FIELD = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  type: [156, 1],
  linkName: [157, 100],
  /** Magic and version read as one: the two formats split the eight bytes differently. */
  magic: [257, 8],
  uname: [265, 32],
  gname: [297, 32],
  devMajor: [329, 8],
  devMinor: [337, 8],
  prefix: [345, 155],
} as const satisfies Record<string, readonly [offset: number, size: number]>;

export type TarField = readonly [offset: number, size: number];

/** POSIX: "ustar", NUL, "00". */
export const USTAR_MAGIC = "ustar\x0000";
/** GNU tar manual, "Basic Tar Format", OLDGNU_MAGIC. */
export const GNU_MAGIC = "ustar  \0";

/** Values of the type field that describe an entry (POSIX.1-2024; `7` is a contiguous file, which nobody lays out so). */
export const TAR_TYPE = {
  "0": "file",
  "\0": "file",
  "7": "file",
  "1": "hardlink",
  "2": "symlink",
  "3": "char",
  "4": "block",
  "5": "directory",
  "6": "fifo",
} as const;

export type TarKind = (typeof TAR_TYPE)[keyof typeof TAR_TYPE];

/** Values of the type field whose content speaks about the entry that follows; each may stand once before it. */
export const TAR_EXTENSION = {
  x: "pax",
  L: "longName",
  K: "longLink",
} as const;

export type TarExtension = (typeof TAR_EXTENSION)[keyof typeof TAR_EXTENSION];

/** A PAX header for the rest of the archive; read past, never applied. */
export const TAR_GLOBAL_TYPE = "g";
/** Old GNU sparse file. */
export const TAR_SPARSE_TYPE = "S";

/** Keyword prefix under which star, GNU tar and libarchive keep an extended attribute, its value as raw bytes. */
export const PAX_XATTR_PREFIX = "SCHILY.xattr.";
/** Keyword prefix of GNU tar's sparse formats 0.0, 0.1 and 1.0. */
export const PAX_SPARSE_PREFIX = "GNU.sparse.";

/**
 * Most bytes of extension content before one entry, and in one global header. A safety limit, the same as that of
 * composefs-rs: what passes here passes there.
 */
export const TAR_EXTENSION_SIZE_MAX = 1 << 20;
