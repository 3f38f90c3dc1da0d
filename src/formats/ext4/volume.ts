import { type ByteSource, readRange } from "../../lib/bytes/byte-source.ts";
import { getField, viewOf } from "../../lib/bytes/field.ts";
import { FormatError, UnsupportedError } from "../../lib/errors.ts";
import { descriptorChecksum, fileSystemSeed, superblockChecksum } from "./checksums.ts";
import {
  DESCRIPTOR,
  DESCRIPTOR_SIZE,
  INCOMPAT,
  LABEL_SIZE,
  RO_COMPAT,
  RO_COMPAT_PROJECT,
  RO_COMPAT_QUOTA,
  STATE_CLEAN,
  STATE_ERRORS,
  SUPERBLOCK,
  SUPERBLOCK_HASH_SEED,
  SUPERBLOCK_LABEL,
  SUPERBLOCK_MAGIC,
  SUPERBLOCK_OFFSET,
  SUPERBLOCK_SIZE,
  SUPERBLOCK_UUID,
} from "./layout.ts";

/** An ext4 file system opened for reading. */
export interface Ext4Volume {
  readonly source: ByteSource;
  readonly uuid: Uint8Array;
  /** s_hash_seed, 16 bytes. */
  readonly hashSeed: Uint8Array;
  readonly label: string;
  /** Unmounted in good order, and the kernel has found no errors. */
  readonly isClean: boolean;
  readonly blockSize: number;
  readonly blockCount: number;
  readonly freeBlocks: number;
  /** Blocks that only the superuser may fill. */
  readonly reservedBlocks: number;
  readonly inodeCount: number;
  readonly inodesPerGroup: number;
  readonly inodeSize: number;
  /** RO_COMPAT_VERITY: files may have fs-verity metadata. */
  readonly hasVerity: boolean;
  /** Counts what users or projects store. */
  readonly hasQuotas: boolean;
  /** Checksum seed of all metadata; absent when the file system has no checksums. */
  readonly checksumSeed: number | undefined;
  /** First block of a group's inode table. */
  inodeTable(group: number): number;
}

const READABLE_INCOMPAT =
  INCOMPAT.FILETYPE | INCOMPAT.EXTENTS | INCOMPAT["64BIT"] | INCOMPAT.FLEX_BG | INCOMPAT.CSUM_SEED;
/** 64 KiB, the largest block of the format; 1 KiB is the smallest. */
const LOG_BLOCK_SIZE_MAX = 6;

/**
 * Opens an ext4 file system for reading and checks its superblock.
 *
 * @throws {FormatError} `ext4.truncated`, `ext4.superblock.*`, `ext4.descriptor.checksum`
 * @throws {UnsupportedError} `ext4.unsupported-feature`, `ext4.needs-recovery`
 * @see Linux Documentation/filesystems/ext4/super.rst
 */
export function openExt4(source: ByteSource): Ext4Volume {
  const bytes = readRange(source, SUPERBLOCK_OFFSET, SUPERBLOCK_SIZE, "ext4 superblock", "ext4.truncated").slice();
  const view = viewOf(bytes);
  const get = (name: keyof typeof SUPERBLOCK): number => getField(view, SUPERBLOCK[name]);
  const require = (good: boolean, field: keyof typeof SUPERBLOCK, expected: string): void => {
    if (good) return;
    throw new FormatError(`ext4.superblock.${field === "magic" || field === "checksum" ? field : "field"}`, {
      what: `ext4 superblock: ${field}`,
      offset: SUPERBLOCK_OFFSET + SUPERBLOCK[field][0],
      expected,
      found: `0x${get(field).toString(16)}`,
    });
  };

  require(get("magic") === SUPERBLOCK_MAGIC, "magic", "0xef53");
  const hasChecksums = (get("roCompat") & RO_COMPAT.METADATA_CSUM) !== 0;
  require(!hasChecksums || get("checksum") === superblockChecksum(bytes), "checksum", "the CRC-32C of the superblock");
  requireReadable(get("incompat"));

  require(get("logBlockSize") <= LOG_BLOCK_SIZE_MAX, "logBlockSize", `at most ${LOG_BLOCK_SIZE_MAX}`);
  const blockSize = 1024 << get("logBlockSize");
  const is64Bit = (get("incompat") & INCOMPAT["64BIT"]) !== 0;
  const hi = (name: keyof typeof SUPERBLOCK): number => (is64Bit ? get(name) * 2 ** 32 : 0);
  const blockCount = get("blocksCountLo") + hi("blocksCountHi");
  require(blockCount * blockSize <= source.size, "blocksCountLo", `at most ${Math.floor(source.size / blockSize)}`);
  const blocksPerGroup = get("blocksPerGroup");
  require(blocksPerGroup > 0 && blocksPerGroup <= blockSize * 8, "blocksPerGroup", `1 to ${blockSize * 8}`);
  const inodesPerGroup = get("inodesPerGroup");
  require(inodesPerGroup > 0 && inodesPerGroup <= blockSize * 8, "inodesPerGroup", `1 to ${blockSize * 8}`);
  const firstDataBlock = get("firstDataBlock");
  require(firstDataBlock === (blockSize === 1024 ? 1 : 0), "firstDataBlock", "0, or 1 for blocks of 1024 bytes");
  const groupCount = Math.ceil((blockCount - firstDataBlock) / blocksPerGroup);
  require(get("inodesCount") <= groupCount * inodesPerGroup, "inodesCount", `at most ${groupCount * inodesPerGroup}`);
  const inodeSize = get("inodeSize");
  const powerOfTwo = (inodeSize & (inodeSize - 1)) === 0;
  require(powerOfTwo && inodeSize >= 128 && inodeSize <= blockSize, "inodeSize", "a power of two from 128 on");
  const descriptorSize = is64Bit ? get("descriptorSize") : DESCRIPTOR_SIZE / 2;
  require(!is64Bit ||
    (descriptorSize >= DESCRIPTOR_SIZE && descriptorSize <= blockSize), "descriptorSize", "64 or more");

  const uuid = bytes.subarray(SUPERBLOCK_UUID, SUPERBLOCK_UUID + 16);
  const hasSeed = (get("incompat") & INCOMPAT.CSUM_SEED) !== 0;
  const checksumSeed = hasChecksums ? (hasSeed ? get("checksumSeed") : fileSystemSeed(uuid)) : undefined;
  const descriptorsAt = (firstDataBlock + 1) * blockSize;

  return {
    source,
    uuid,
    hashSeed: bytes.subarray(SUPERBLOCK_HASH_SEED, SUPERBLOCK_HASH_SEED + 16),
    label: parseLabel(bytes.subarray(SUPERBLOCK_LABEL, SUPERBLOCK_LABEL + LABEL_SIZE)),
    isClean: (get("state") & (STATE_CLEAN | STATE_ERRORS)) === STATE_CLEAN,
    blockSize,
    blockCount,
    freeBlocks: get("freeBlocksLo") + hi("freeBlocksHi"),
    reservedBlocks: get("reservedBlocksLo") + hi("reservedBlocksHi"),
    inodeCount: get("inodesCount"),
    inodesPerGroup,
    inodeSize,
    hasVerity: (get("roCompat") & RO_COMPAT.VERITY) !== 0,
    hasQuotas: (get("roCompat") & (RO_COMPAT_QUOTA | RO_COMPAT_PROJECT)) !== 0,
    checksumSeed,
    inodeTable: (group) => {
      const what = `ext4 group descriptor ${group}`;
      const at = descriptorsAt + group * descriptorSize;
      const descriptor = readRange(source, at, descriptorSize, what, "ext4.truncated");
      const fields = viewOf(descriptor);
      const stored = getField(fields, DESCRIPTOR.checksum);
      if (checksumSeed !== undefined && stored !== descriptorChecksum(checksumSeed, group, descriptor)) {
        throw checksumError("ext4.descriptor.checksum", what, at + DESCRIPTOR.checksum[0]);
      }
      return (
        getField(fields, DESCRIPTOR.inodeTableLo) + (is64Bit ? getField(fields, DESCRIPTOR.inodeTableHi) * 2 ** 32 : 0)
      );
    },
  };
}

/** @throws {FormatError} `ext4.block.out-of-bounds` */
export function readBlocks(volume: Ext4Volume, block: number, count: number, what: string): Uint8Array {
  const { source, blockSize, blockCount } = volume;
  if (!(block >= 0 && block + count <= blockCount)) {
    throw new FormatError("ext4.block.out-of-bounds", {
      what: `${what}: block number`,
      expected: `below ${blockCount}`,
      found: count === 1 ? String(block) : `${block} to ${block + count - 1}`,
    });
  }
  return readRange(source, block * blockSize, count * blockSize, what, "ext4.truncated");
}

export function checksumError(code: string, what: string, offset: number): FormatError {
  return new FormatError(code, {
    what: `${what}: checksum`,
    offset,
    expected: "the CRC-32C of the contents",
    found: "another",
  });
}

function requireReadable(incompat: number): void {
  if ((incompat & INCOMPAT.RECOVER) !== 0) {
    throw new UnsupportedError("ext4.needs-recovery", "ext4 superblock: the journal has changes to be replayed", {
      hint: "mount the file system once, or run e2fsck",
    });
  }
  const unknown = incompat & ~READABLE_INCOMPAT;
  const missing = (INCOMPAT.FILETYPE | INCOMPAT.EXTENTS) & ~incompat;
  if (unknown !== 0 || missing !== 0) {
    throw new UnsupportedError(
      "ext4.unsupported-feature",
      `ext4 superblock: incompatible features 0x${incompat.toString(16)}: ` +
        `filetype and extent are needed, 64bit, flex_bg and metadata_csum_seed are known`,
    );
  }
}

function parseLabel(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return Buffer.from(end === -1 ? bytes : bytes.subarray(0, end)).toString("utf8");
}
