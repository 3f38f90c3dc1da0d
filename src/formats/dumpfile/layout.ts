/**
 * The words of the composefs dump format, version of composefs-rs 0.9 and libcomposefs 1.0.8.
 *
 * @see composefs man/composefs-dump.5.md
 */
import type { VerityAlgorithm } from "../fsverity/algorithm.ts";

/** The fields of a line in order, by their names in the manual; xattrs follow. */
export const DUMPFILE_FIELDS = [
  "PATH",
  "SIZE",
  "MODE",
  "NLINK",
  "UID",
  "GID",
  "RDEV",
  "MTIME",
  "PAYLOAD",
  "CONTENT",
  "DIGEST",
] as const;
export type DumpfileField = (typeof DUMPFILE_FIELDS)[number];

/** Type bits in MODE (stat.h). */
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

/** What stands for no value in PATH, PAYLOAD, CONTENT and DIGEST. */
export const DUMPFILE_NONE = "-";

export interface DumpfileLimits {
  /** Bytes of CONTENT. */
  readonly content: number;
  /** Bytes of a symbolic link's target. */
  readonly target: number;
}

/** What composefs-rs reads; `mkcomposefs` reads more, and such a tree has no digest under composefs-rs. */
export const DUMPFILE_LIMITS: DumpfileLimits = { content: 512, target: 1024 };
/** What `mkcomposefs` 1.0.8 reads. */
export const DUMPFILE_LIMITS_OF_C: DumpfileLimits = { content: 5000, target: 4095 };

/** XATTR_NAME_MAX, XATTR_SIZE_MAX less one, XATTR_LIST_MAX less one: the limits of composefs-rs, from Linux. */
export const XATTR_NAME_MAX = 255;
export const XATTR_VALUE_MAX = 65_535;
export const XATTR_NAMES_MAX = 65_535;

/** Hex digits of a DIGEST. */
export const ALGORITHM_BY_HEX_LENGTH: Readonly<Record<number, VerityAlgorithm>> = { 64: "sha256", 128: "sha512" };
