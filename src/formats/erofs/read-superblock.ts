/** The superblock, and the composefs header in front of it. */
import { type Field, getField, viewOf } from "../../lib/bytes/field.ts";
import { UnsupportedError } from "../../lib/errors.ts";
import {
  COMPOSEFS_HEADER,
  COMPOSEFS_HEADER_VERSION,
  COMPOSEFS_MAGIC,
  FEATURE_INCOMPAT,
  SUPERBLOCK,
  SUPERBLOCK_MAGIC,
  SUPERBLOCK_OFFSET,
  SUPERBLOCK_SIZE,
} from "./layout.ts";
import { refuse, showHex } from "./refuse.ts";
import type { ComposefsVersion } from "./rules.ts";

export interface ErofsSuperblock {
  readonly blockSize: number;
  readonly rootNid: number;
  readonly inodeCount: bigint;
  readonly buildTime: bigint;
  readonly buildTimeNsec: number;
  readonly blockCount: number;
  readonly metaBlock: number;
  readonly xattrBlock: number;
  readonly featureCompat: number;
  readonly featureIncompat: number;
}

/** 512 bytes to 64 KiB, what kernels have page sizes for. */
const BLOCK_BITS_RANGE = [9, 16] as const;

/**
 * @throws {FormatError} `erofs.superblock.magic`, `erofs.superblock.block-bits`, `erofs.truncated`
 * @throws {UnsupportedError} `erofs.feature`
 */
export function parseSuperblock(bytes: Uint8Array): ErofsSuperblock {
  const base = SUPERBLOCK_OFFSET;
  if (bytes.length < base + SUPERBLOCK_SIZE) {
    throw refuse("erofs.truncated", "superblock", base, `${SUPERBLOCK_SIZE} bytes`, `an image of ${bytes.length}`);
  }
  const view = viewOf(bytes.subarray(base, base + SUPERBLOCK_SIZE));
  const get = (field: Field): number => getField(view, field);
  const magic = get(SUPERBLOCK.magic);
  if (magic !== SUPERBLOCK_MAGIC) {
    throw refuse("erofs.superblock.magic", "superblock: magic", base, showHex(SUPERBLOCK_MAGIC), showHex(magic));
  }
  const bits = get(SUPERBLOCK.blockBits);
  const [least, most] = BLOCK_BITS_RANGE;
  if (bits < least || bits > most) {
    throw refuse(
      "erofs.superblock.block-bits",
      "superblock: block bits",
      base + 12,
      `${least} to ${most}`,
      String(bits),
    );
  }
  const featureIncompat = get(SUPERBLOCK.featureIncompat);
  if ((featureIncompat & ~FEATURE_INCOMPAT.chunkedFile) !== 0 || get(SUPERBLOCK.extraDevices) !== 0) {
    throw new UnsupportedError(
      "erofs.feature",
      `EROFS image with incompatible features ${showHex(featureIncompat)} or extra devices: only chunked files are read`,
      { data: { featureIncompat } },
    );
  }
  return {
    blockSize: 1 << bits,
    rootNid: get(SUPERBLOCK.rootNid),
    inodeCount: view.getBigUint64(SUPERBLOCK.inodeCount[0], true),
    buildTime: view.getBigInt64(SUPERBLOCK.buildTime[0], true),
    buildTimeNsec: get(SUPERBLOCK.buildTimeNsec),
    blockCount: get(SUPERBLOCK.blockCount),
    metaBlock: get(SUPERBLOCK.metaBlock),
    xattrBlock: get(SUPERBLOCK.xattrBlock),
    featureCompat: get(SUPERBLOCK.featureCompat),
    featureIncompat,
  };
}

/**
 * @returns undefined when the image has no composefs header
 * @throws {UnsupportedError} `erofs.composefs-version`
 */
export function parseComposefsVersion(bytes: Uint8Array): ComposefsVersion | undefined {
  const view = viewOf(bytes);
  if (getField(view, COMPOSEFS_HEADER.magic) !== COMPOSEFS_MAGIC) return undefined;
  const header = getField(view, COMPOSEFS_HEADER.version);
  const version = getField(view, COMPOSEFS_HEADER.composefsVersion);
  if (header === COMPOSEFS_HEADER_VERSION && (version === 0 || version === 1 || version === 2)) return version;
  throw new UnsupportedError(
    "erofs.composefs-version",
    `composefs image of header version ${header} and composefs version ${version}: only 1 and 0 to 2 are read`,
  );
}
