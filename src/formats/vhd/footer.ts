import { FormatError } from "../../lib/errors.ts";

export const VHD_FOOTER_SIZE = 512;

export interface VhdOptions {
  /** 16 bytes. */
  readonly uniqueId: Uint8Array;
  /** Seconds since 1970. */
  readonly time: number;
}

/** Big-endian fields of the hard disk footer, specification p. 6. */
const FIELDS = {
  features: 8,
  fileFormatVersion: 12,
  dataOffset: 16,
  timeStamp: 24,
  creatorApplication: 28,
  creatorVersion: 32,
  creatorHostOs: 36,
  originalSize: 40,
  currentSize: 48,
  cylinders: 56,
  heads: 58,
  sectorsPerTrack: 59,
  diskType: 60,
  checksum: 64,
  uniqueId: 68,
} as const;

const COOKIE = "conectix";
/** Bit 1 is reserved and always set. */
const FEATURES_RESERVED = 2;
const FORMAT_VERSION = 0x0001_0000;
/** A fixed disk has no dynamic header. */
const NO_DATA_OFFSET = 0xffff_ffff_ffff_ffffn;
const TYPE_FIXED = 2;
/** The time stamp counts from 2000-01-01 UTC. */
const EPOCH_2000 = 946_684_800;
const SECTOR_SIZE = 512;
/** 2040 GiB: what Hyper-V and Azure take. */
const SIZE_MAX = 2040 * 2 ** 30;

/**
 * Encodes the footer that makes a VHD of a raw disk.
 *
 * Azure wants whole MiB, and goes by the current size; QEMU does so too for the creator that is named here.
 *
 * @param size bytes of the disk, a multiple of 512
 * @throws {FormatError} `vhd.size`
 */
export function encodeVhdFooter(size: number, { time, uniqueId }: VhdOptions): Uint8Array {
  if (size % SECTOR_SIZE !== 0 || size <= 0 || size > SIZE_MAX) {
    throw new FormatError("vhd.size", {
      what: "VHD disk size",
      expected: `a multiple of ${SECTOR_SIZE}, at most ${SIZE_MAX}`,
      found: `${size} bytes`,
    });
  }
  const footer = Buffer.alloc(VHD_FOOTER_SIZE);
  footer.write(COOKIE, 0, "latin1");
  footer.writeUInt32BE(FEATURES_RESERVED, FIELDS.features);
  footer.writeUInt32BE(FORMAT_VERSION, FIELDS.fileFormatVersion);
  footer.writeBigUInt64BE(NO_DATA_OFFSET, FIELDS.dataOffset);
  footer.writeUInt32BE(Math.min(0xffff_ffff, Math.max(0, time - EPOCH_2000)), FIELDS.timeStamp);
  // "win " and "Wi2k": readers that know them take the current size for the size, and not the geometry.
  footer.write("win ", FIELDS.creatorApplication, "latin1");
  footer.writeUInt32BE(0x000a_0000, FIELDS.creatorVersion);
  footer.write("Wi2k", FIELDS.creatorHostOs, "latin1");
  footer.writeBigUInt64BE(BigInt(size), FIELDS.originalSize);
  footer.writeBigUInt64BE(BigInt(size), FIELDS.currentSize);
  const { cylinders, heads, sectorsPerTrack } = geometryOf(size / SECTOR_SIZE);
  footer.writeUInt16BE(cylinders, FIELDS.cylinders);
  footer.writeUInt8(heads, FIELDS.heads);
  footer.writeUInt8(sectorsPerTrack, FIELDS.sectorsPerTrack);
  footer.writeUInt32BE(TYPE_FIXED, FIELDS.diskType);
  footer.set(uniqueId.subarray(0, 16), FIELDS.uniqueId);
  footer.writeUInt32BE(checksumOf(footer), FIELDS.checksum);
  return footer;
}

/** One's complement of the sum of all bytes but the checksum's own, which are zero here. */
function checksumOf(footer: Uint8Array): number {
  return ~footer.reduce((sum, byte) => sum + byte, 0) >>> 0;
}

/** Specification, appendix "CHS Calculation". */
function geometryOf(sectors: number) {
  const total = Math.min(sectors, 65_535 * 16 * 255);
  const divide = (heads: number, sectorsPerTrack: number) => {
    const cylinders = Math.floor(Math.floor(total / sectorsPerTrack) / heads);
    return { cylinders, heads, sectorsPerTrack };
  };
  if (total >= 65_535 * 16 * 63) return divide(16, 255);
  const heads = Math.max(4, Math.ceil(Math.floor(total / 17) / 1024));
  if (heads <= 16 && Math.floor(total / 17) < heads * 1024) return divide(heads, 17);
  const larger = Math.floor(total / 31);
  return larger < 16 * 1024 ? divide(16, 31) : divide(16, 63);
}
