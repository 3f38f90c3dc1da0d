import { type Ext4Volume, openExt4 } from "../../formats/ext4/index.ts";
import { type FatVolume, openFat } from "../../formats/fat/index.ts";
import {
  PARTITION_TYPES,
  type Partition,
  type PartitionTable,
  partitionOffset,
  partitionSize,
} from "../../formats/gpt/index.ts";
import { type ByteSource, windowSource } from "../../lib/bytes/byte-source.ts";
import { equalBytes } from "../../lib/bytes/numbers.ts";
import { FormatError, quote, UnsupportedError, VerificationError } from "../../lib/errors.ts";
import { ROOT_TYPES } from "./layout.ts";

/** File systems by what they start with. LUKS is none, but stands where one should be. */
const SIGNATURES = [
  { type: "ext4", offset: 1080, bytes: Buffer.from([0x53, 0xef]) },
  { type: "btrfs", offset: 65_600, bytes: Buffer.from("_BHRfS_M") },
  { type: "xfs", offset: 0, bytes: Buffer.from("XFSB") },
  { type: "luks", offset: 0, bytes: Buffer.from("LUKS\xba\xbe", "latin1") },
  { type: "fat", offset: 82, bytes: Buffer.from("FAT32") },
  { type: "fat", offset: 54, bytes: Buffer.from("FAT") },
] as const;

export type FileSystemType = (typeof SIGNATURES)[number]["type"];

/** @returns undefined for what is empty or not known */
export function findFileSystem(volume: ByteSource): FileSystemType | undefined {
  return SIGNATURES.find(({ offset, bytes }) => {
    if (offset + bytes.length > volume.size) return false;
    return equalBytes(volume.read(offset, bytes.length), bytes);
  })?.type;
}

/**
 * The bytes of a partition.
 *
 * @throws {FormatError} `disk.partition.outside` when the disk ends before
 */
export function partitionSource(disk: ByteSource, partition: Partition): ByteSource {
  const [offset, size] = [partitionOffset(partition), partitionSize(partition)];
  if (offset + size > disk.size) {
    throw new FormatError("disk.partition.outside", {
      what: `GPT partition ${quote(partition.name)}: end`,
      expected: `at most ${disk.size}, the size of the disk`,
      found: String(offset + size),
    });
  }
  return windowSource(disk, offset, size);
}

export interface FoundVolume<V> {
  readonly partition: Partition;
  readonly volume: V;
}

/**
 * Opens the ESP.
 *
 * @throws {VerificationError} `disk.esp.missing`, `disk.esp.several`
 * @throws {FormatError} `fat.*`, `disk.partition.outside`
 */
export function openEsp(disk: ByteSource, table: PartitionTable): FoundVolume<FatVolume> {
  const partition = requireOne(table, [PARTITION_TYPES.esp], "esp", "EFI system partition");
  return { partition, volume: openFat(partitionSource(disk, partition)) };
}

/**
 * Opens the root file system.
 *
 * @throws {VerificationError} `disk.root.missing`, `disk.root.several`
 * @throws {UnsupportedError} `disk.root.file-system`; `ext4.*`
 * @throws {FormatError} `ext4.*`, `disk.partition.outside`
 */
export function openRoot(disk: ByteSource, table: PartitionTable): FoundVolume<Ext4Volume> {
  const partition = requireOne(table, Object.values(ROOT_TYPES), "root", "root partition");
  const source = partitionSource(disk, partition);
  const type = findFileSystem(source);
  if (type !== "ext4" && type !== undefined) {
    throw new UnsupportedError("disk.root.file-system", `root partition: ${type} is not read, ext4 is`);
  }
  return { partition, volume: openExt4(source) };
}

function requireOne(
  { partitions }: PartitionTable,
  types: readonly Uint8Array[],
  code: "esp" | "root",
  what: string,
): Partition {
  const [first, ...more] = partitions.filter(({ typeGuid }) => types.some((type) => equalBytes(type, typeGuid)));
  if (first === undefined) {
    throw new VerificationError(`disk.${code}.missing`, `partition table: found no ${what}, expected one`);
  }
  if (more.length > 0) {
    const count = more.length + 1;
    throw new VerificationError(`disk.${code}.several`, `partition table: found ${count} of ${what}, expected one`);
  }
  return first;
}
