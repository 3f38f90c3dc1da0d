/**
 * On-disk constants of qcow2; all integers are big-endian.
 *
 * @see QEMU docs/interop/qcow2.rst
 */

/** "QFI\xfb". */
export const MAGIC = 0x514649fb;
export const HEADER_SIZE_V2 = 72;
export const HEADER_SIZE_V3 = 104;

/** Offsets of header fields. */
export const HEADER = {
  magic: 0,
  version: 4,
  backingFileOffset: 8,
  clusterBits: 20,
  size: 24,
  cryptMethod: 32,
  l1Size: 36,
  l1TableOffset: 40,
  refcountTableOffset: 48,
  refcountTableClusters: 56,
  incompatibleFeatures: 72,
  refcountOrder: 96,
  headerLength: 100,
} as const;

/** Bits of incompatible_features. A dirty image has refcounts that are out of date, which readers do not need. */
export const INCOMPATIBLE_DIRTY = 1n;
export const INCOMPATIBLE_CORRUPT = 2n;

export const CLUSTER_BITS = 16;
export const CLUSTER_SIZE = 1 << CLUSTER_BITS;
/** Entries of 8 bytes in an L2 table, which is one cluster. */
export const L2_ENTRIES = CLUSTER_SIZE / 8;
/** 2^4 bits, 2 bytes. */
export const REFCOUNT_ORDER = 4;
export const REFCOUNTS_PER_BLOCK = CLUSTER_SIZE / 2;

/** The upper 32 bits of L1 and L2 entries: a refcount of exactly one; compressed. */
export const COPIED_HI = 0x8000_0000;
export const COMPRESSED_HI = 0x4000_0000;
/** Bits 9 to 55 of an entry. */
export const OFFSET_MASK = 0x00ff_ffff_ffff_fe00n;
export const COMPRESSED = 1n << 62n;
/** Bit 0 of an L2 entry: reads as zeros, version 3. */
export const ZERO = 1n;

/** Least and most of the format. */
export const CLUSTER_BITS_MIN = 9;
export const CLUSTER_BITS_MAX = 21;
/** QEMU opens no larger L1 table: 32 MiB. */
export const L1_SIZE_MAX = (32 << 20) / 8;

/** zlib window of compressed clusters: 4 KiB, which is what QEMU inflates with. */
export const WINDOW_BITS = 12;
