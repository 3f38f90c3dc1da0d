/**
 * The "new ASCII" cpio header: 6 characters of magic, then 13 numbers of 8 hex digits.
 *
 * @see Linux Documentation/driver-api/early-userspace/buffer-format.rst
 */

/** Without and with a checksum of the content; the kernel takes both and looks at no checksum. */
export const MAGICS: readonly string[] = ["070701", "070702"];

export const FIELDS = [
  "inode",
  "mode",
  "uid",
  "gid",
  "nlink",
  "mtime",
  "size",
  "devMajor",
  "devMinor",
  "rdevMajor",
  "rdevMinor",
  "nameSize",
  "check",
] as const;
export type Field = (typeof FIELDS)[number];

export const MAGIC_SIZE = 6;
export const FIELD_SIZE = 8;
export const HEADER_SIZE = MAGIC_SIZE + FIELDS.length * FIELD_SIZE;

/** Headers, names with their NUL, and contents end at multiples of this from the start. */
export const ALIGNMENT = 4;

/** The name that ends an archive. */
export const TRAILER = "TRAILER!!!";

/** Longest name with its NUL: PATH_MAX. Format rule: the kernel skips what is longer. */
export const MAX_NAME_SIZE = 4096;
/** Most entries of an initramfs. Safety limit, not a format rule: large ones have some ten thousand. */
export const MAX_ENTRIES = 1 << 20;
/** Most bytes that one compressed part of an initramfs unpacks to. Safety limit, not a format rule. */
export const MAX_UNPACKED_SIZE = 1024 * 1024 * 1024;
