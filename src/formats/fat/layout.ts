/**
 * On-disk constants of FAT; all integers are little-endian.
 *
 * @see Microsoft "FAT: General Overview of On-Disk Format", version 1.03
 */
import type { Field } from "../../lib/bytes/field.ts";

export const SECTOR_SIZE = 512;
export const FAT_COUNT = 2;

/** Boot sector: fields of every FAT. */
export const BOOT = {
  bytesPerSector: [11, 2],
  sectorsPerCluster: [13, 1],
  reservedSectors: [14, 2],
  fatCount: [16, 1],
  rootEntryCount: [17, 2],
  totalSectors16: [19, 2],
  media: [21, 1],
  fatSize16: [22, 2],
  sectorsPerTrack: [24, 2],
  headCount: [26, 2],
  hiddenSectors: [28, 4],
  totalSectors32: [32, 4],
  signature: [510, 2],
} as const satisfies Record<string, Field>;

/** Boot sector: fields of FAT32 alone. */
export const BOOT32 = {
  fatSize32: [36, 4],
  version: [42, 2],
  rootCluster: [44, 4],
  infoSector: [48, 2],
  backupBootSector: [50, 2],
} as const satisfies Record<string, Field>;

/** Where drive number, extended signature, volume serial, label and type stand: behind the fields above. */
export const BOOT_TAIL = { fat16: 36, fat32: 64 } as const;

export const MEDIA_FIXED = 0xf8;
export const BOOT_SIGNATURE = 0xaa55;
export const INFO_SECTOR = 1;
export const BACKUP_BOOT_SECTOR = 6;
export const ROOT_CLUSTER = 2;
export const FIRST_CLUSTER = 2;

/** FSInfo sector of FAT32. */
export const INFO = {
  leadSignature: [0, 4],
  structSignature: [484, 4],
  freeCount: [488, 4],
  nextFree: [492, 4],
  trailSignature: [508, 4],
} as const satisfies Record<string, Field>;
export const INFO_SIGNATURES = { lead: 0x41615252, struct: 0x61417272, trail: 0xaa550000 } as const;

/** The number of clusters alone decides the type: fewer than this is FAT12, and below the other FAT16. */
export const FAT16_CLUSTERS_MIN = 4085;
export const FAT32_CLUSTERS_MIN = 65_525;
export const FAT32_CLUSTERS_MAX = 0x0fff_fff5;

export type FatType = "fat16" | "fat32";

/** Width of a FAT entry, end of a chain, and the two reserved entries (media byte; clean, no errors). */
export const FAT_ENTRY = {
  fat16: { size: 2, mask: 0xffff, endOfChain: 0xffff, firstEnd: 0xfff8, bad: 0xfff7, reserved: [0xfff8, 0xffff] },
  fat32: {
    size: 4,
    mask: 0x0fff_ffff,
    endOfChain: 0x0fff_ffff,
    firstEnd: 0x0fff_fff8,
    bad: 0x0fff_fff7,
    reserved: [0x0fff_fff8, 0x0fff_ffff],
  },
} as const;

export const DIR_ENTRY_SIZE = 32;
export const SHORT_NAME_SIZE = 11;
/** Directory entry with a short name. */
export const DIR_ENTRY = {
  attributes: [11, 1],
  creationTenths: [13, 1],
  creationTime: [14, 2],
  creationDate: [16, 2],
  accessDate: [18, 2],
  clusterHi: [20, 2],
  writeTime: [22, 2],
  writeDate: [24, 2],
  clusterLo: [26, 2],
  fileSize: [28, 4],
} as const satisfies Record<string, Field>;

export const ATTRIBUTE = { READ_ONLY: 0x01, VOLUME_ID: 0x08, DIRECTORY: 0x10, ARCHIVE: 0x20, LONG_NAME: 0x0f } as const;
export const ATTRIBUTE_MASK = 0x3f;

/** Directory entry with 13 units of a long name: where they are. */
export const LONG_ENTRY = {
  order: [0, 1],
  attributes: [11, 1],
  checksum: [13, 1],
} as const satisfies Record<string, Field>;
export const LONG_ENTRY_UNITS = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30] as const;
export const LAST_LONG_ENTRY = 0x40;

/** UTF-16 code units. */
export const LONG_NAME_MAX = 255;
export const FREE_ENTRY = 0xe5;
/** A directory has at most 65536 entries, long names counted. */
export const DIRECTORY_ENTRIES_MAX = 65_536;
export const FILE_SIZE_MAX = 0xffff_ffff;
/** Entries of the root directory of FAT16. */
export const ROOT_ENTRY_COUNT = 512;
