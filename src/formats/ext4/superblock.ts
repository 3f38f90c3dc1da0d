import { setField, viewOf } from "../../lib/bytes/field.ts";
import { descriptorChecksum, superblockChecksum } from "./checksums.ts";
import type { Geometry, Group } from "./geometry.ts";
import type { Timestamp } from "./inode.ts";
import {
  BG_INODE_ZEROED,
  BLOCKS_PER_GROUP,
  COMPAT,
  DEFAULT_MOUNT_OPTIONS,
  DESCRIPTOR,
  DESCRIPTOR_SIZE,
  ERRORS_CONTINUE,
  EXTRA_ISIZE,
  FIRST_INO,
  FLAGS_UNSIGNED_HASH,
  GROUPS_PER_FLEX,
  HASH_HALF_MD4,
  INCOMPAT,
  INO,
  INODE_SIZE,
  RO_COMPAT,
  STATE_CLEAN,
  SUPERBLOCK,
  SUPERBLOCK_HASH_SEED,
  SUPERBLOCK_JOURNAL_BACKUP,
  SUPERBLOCK_LABEL,
  SUPERBLOCK_MAGIC,
  SUPERBLOCK_SIZE,
  SUPERBLOCK_UUID,
} from "./layout.ts";

export interface SuperblockFields {
  readonly uuid: Uint8Array;
  readonly hashSeed: Uint8Array;
  readonly label: Uint8Array;
  readonly time: Timestamp;
  readonly geometry: Geometry;
  readonly freeBlocks: number;
  readonly freeInodes: number;
  readonly reservedBlocks: number;
  readonly journal: { readonly iBlock: Uint8Array; readonly size: number } | undefined;
}

const LOG_4096 = 2; // 1024 << 2

/** @param group which group's copy this is; 0 is the primary */
export function encodeSuperblock(fields: SuperblockFields, group: number): Uint8Array {
  const { geometry, journal, time } = fields;
  const bytes = new Uint8Array(SUPERBLOCK_SIZE);
  const view = viewOf(bytes);
  const seconds = Number(BigInt.asUintN(32, time.sec));
  const secondsHi = Number(BigInt.asUintN(8, time.sec >> 32n));
  const values: Partial<Record<keyof typeof SUPERBLOCK, number>> = {
    inodesCount: geometry.inodesPerGroup * geometry.groups.length,
    blocksCountLo: geometry.blockCount,
    reservedBlocksLo: fields.reservedBlocks,
    freeBlocksLo: fields.freeBlocks,
    freeInodes: fields.freeInodes,
    logBlockSize: LOG_4096,
    logClusterSize: LOG_4096,
    blocksPerGroup: BLOCKS_PER_GROUP,
    clustersPerGroup: BLOCKS_PER_GROUP,
    inodesPerGroup: geometry.inodesPerGroup,
    writeTime: seconds,
    writeTimeHi: secondsHi,
    makeTime: seconds,
    makeTimeHi: secondsHi,
    lastCheck: seconds,
    lastCheckHi: secondsHi,
    maxMountCount: 0xffff,
    magic: SUPERBLOCK_MAGIC,
    state: STATE_CLEAN,
    errors: ERRORS_CONTINUE,
    revision: 1,
    firstIno: FIRST_INO,
    inodeSize: INODE_SIZE,
    blockGroup: group,
    compat: COMPAT.EXT_ATTR | COMPAT.RESIZE_INODE | COMPAT.DIR_INDEX | (journal === undefined ? 0 : COMPAT.HAS_JOURNAL),
    incompat: INCOMPAT.FILETYPE | INCOMPAT.EXTENTS | INCOMPAT["64BIT"] | INCOMPAT.FLEX_BG,
    roCompat: Object.values(RO_COMPAT).reduce((all, feature) => all | feature, 0),
    reservedGdtBlocks: geometry.reservedGdtBlocks,
    defaultHashVersion: HASH_HALF_MD4,
    descriptorSize: DESCRIPTOR_SIZE,
    defaultMountOptions: DEFAULT_MOUNT_OPTIONS,
    minExtraIsize: EXTRA_ISIZE,
    wantExtraIsize: EXTRA_ISIZE,
    flags: FLAGS_UNSIGNED_HASH,
    logGroupsPerFlex: Math.log2(GROUPS_PER_FLEX),
    checksumType: 1, // CRC-32C
  };
  for (const [name, value] of Object.entries(values))
    setField(view, SUPERBLOCK[name as keyof typeof SUPERBLOCK], value);
  bytes.set(fields.uuid, SUPERBLOCK_UUID);
  bytes.set(fields.label, SUPERBLOCK_LABEL);
  bytes.set(fields.hashSeed, SUPERBLOCK_HASH_SEED);
  if (journal !== undefined) {
    setField(view, SUPERBLOCK.journalInum, INO.JOURNAL);
    setField(view, SUPERBLOCK.journalBackupType, 1);
    bytes.set(journal.iBlock, SUPERBLOCK_JOURNAL_BACKUP);
    view.setUint32(SUPERBLOCK_JOURNAL_BACKUP + 60, Math.floor(journal.size / 2 ** 32), true);
    view.setUint32(SUPERBLOCK_JOURNAL_BACKUP + 64, journal.size % 2 ** 32, true);
  }
  setField(view, SUPERBLOCK.checksum, superblockChecksum(bytes));
  return bytes;
}

/** What a group's descriptor counts. */
export interface GroupUsage {
  readonly freeBlocks: number;
  readonly usedInodes: number;
  readonly usedDirs: number;
  readonly blockBitmapCsum: number;
  readonly inodeBitmapCsum: number;
}

/** @param seed checksum seed of the file system */
export function encodeDescriptor(group: Group, usage: GroupUsage, inodesPerGroup: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(DESCRIPTOR_SIZE);
  const view = viewOf(bytes);
  const freeInodes = inodesPerGroup - usage.usedInodes;
  // The upper halves stay zero: block numbers have 32 bits here, counts of one group 16.
  setField(view, DESCRIPTOR.blockBitmapLo, group.blockBitmap);
  setField(view, DESCRIPTOR.inodeBitmapLo, group.inodeBitmap);
  setField(view, DESCRIPTOR.inodeTableLo, group.inodeTable);
  setField(view, DESCRIPTOR.freeBlocksLo, usage.freeBlocks);
  setField(view, DESCRIPTOR.freeInodesLo, freeInodes);
  setField(view, DESCRIPTOR.usedDirsLo, usage.usedDirs);
  setField(view, DESCRIPTOR.flags, BG_INODE_ZEROED);
  setField(view, DESCRIPTOR.blockBitmapCsumLo, usage.blockBitmapCsum & 0xffff);
  setField(view, DESCRIPTOR.blockBitmapCsumHi, usage.blockBitmapCsum >>> 16);
  setField(view, DESCRIPTOR.inodeBitmapCsumLo, usage.inodeBitmapCsum & 0xffff);
  setField(view, DESCRIPTOR.inodeBitmapCsumHi, usage.inodeBitmapCsum >>> 16);
  setField(view, DESCRIPTOR.inodeTableUnusedLo, freeInodes);
  setField(view, DESCRIPTOR.checksum, descriptorChecksum(seed, group.index, bytes));
  return bytes;
}
