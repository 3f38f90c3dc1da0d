/** Sizes and places: partition table, ESP and root file system, before a byte is written. */
import { type Ext4Directory, type Ext4Plan, planExt4 } from "../../formats/ext4/index.ts";
import { type FatDirectory, type FatPlan, planFat } from "../../formats/fat/index.ts";
import {
  encodeGpt,
  PARTITION_ATTRIBUTES,
  PARTITION_TYPES,
  type Partition,
  partitionOffset,
  partitionSize,
  SECTOR_SIZE,
} from "../../formats/gpt/index.ts";
import { alignUp } from "../../lib/bytes/numbers.ts";
import { type Piece, shiftPieces } from "../../lib/bytes/piece.ts";
import { FormatError, PolicyError } from "../../lib/errors.ts";
import type { DiskContent } from "../../model/disk/content.ts";
import { type IdentitySource, identityGuid, identityNumber, identityUuid } from "../../model/disk/identity.ts";
import {
  BIOS_BOOT_NAME,
  BIOS_BOOT_SIZE,
  ESP_NAME,
  PARTITION_ALIGNMENT,
  ROOT_NAME,
  ROOT_TYPES,
} from "../../model/disk/layout.ts";
import type { Architecture } from "../../model/os/index.ts";

export interface DiskPlan {
  /** Bytes of the disk. */
  readonly size: number;
  /** 16 bytes, for formats that name a disk. */
  readonly id: Uint8Array;
  /** Seconds since 1970. */
  readonly time: number;
  readonly partitions: readonly Partition[];
  readonly esp: FatPlan<DiskContent>;
  readonly root: Ext4Plan<DiskContent>;
  /** In ascending order; what is between them is zero. */
  pieces(): Generator<Piece<DiskContent>, void, void>;
}

export interface DiskPlanInput {
  readonly architecture: Architecture;
  readonly identity: IdentitySource;
  /** Seconds since 1970. */
  readonly time: number;
  readonly espTree: FatDirectory<DiskContent>;
  readonly espSize: number;
  readonly rootTree: Ext4Directory<DiskContent>;
  readonly rootSize: number | undefined;
  readonly size: number | undefined;
  /** The disk's size is a multiple of this. */
  readonly sizeUnit: number;
}

/** Left for what a host writes before its first boot grows the file system. */
const ROOT_FREE_SIZE = 1 << 30;

const MIB = 1 << 20;

/**
 * @throws {PolicyError} `disk.esp-too-small`, `disk.root-too-small`, `disk.too-small`
 * @throws what `planExt4` and `planFat` throw for trees they cannot store
 */
export function planDisk(input: DiskPlanInput): DiskPlan {
  const { architecture, espSize, identity, time } = input;
  const biosSize = architecture.efi === "x64" ? BIOS_BOOT_SIZE : 0;
  const espOffset = PARTITION_ALIGNMENT + biosSize;
  const rootOffset = espOffset + alignUp(espSize, PARTITION_ALIGNMENT);
  const rootSize = rootPartitionSize(input, rootOffset);
  const root = planRoot(input, rootSize);
  const rootEnd = rootOffset + alignUp(rootSize ?? root.size, PARTITION_ALIGNMENT);
  // Room for the backup table, and whole MiB: what clouds and partitioning tools expect of a disk.
  const size = input.size ?? alignUp(rootEnd + PARTITION_ALIGNMENT, input.sizeUnit);
  if (rootEnd + PARTITION_ALIGNMENT > size) throw diskTooSmall(size, rootEnd + PARTITION_ALIGNMENT);

  const partition = (name: string, typeGuid: Uint8Array, from: number, to: number, attributes = 0n): Partition => ({
    typeGuid,
    uniqueGuid: identityGuid(identity, `partition ${name}`),
    firstLba: from / SECTOR_SIZE,
    lastLba: to / SECTOR_SIZE - 1,
    attributes,
    name,
  });
  const { growFileSystem, legacyBiosBootable } = PARTITION_ATTRIBUTES;
  const espPartition = partition(ESP_NAME, PARTITION_TYPES.esp, espOffset, rootOffset);
  const rootPartition = partition(ROOT_NAME, ROOT_TYPES[architecture.efi], rootOffset, rootEnd, growFileSystem);
  const bios = partition(BIOS_BOOT_NAME, PARTITION_TYPES.biosBoot, PARTITION_ALIGNMENT, espOffset, legacyBiosBootable);
  const partitions = [...(biosSize === 0 ? [] : [bios]), espPartition, rootPartition];
  const esp = planEsp(input, espPartition);
  const [primary, backup] = encodeGpt(size, { diskGuid: identityGuid(identity, "disk"), partitions });
  return {
    size,
    id: identityUuid(identity, "disk"),
    time,
    partitions,
    esp,
    root,
    *pieces() {
      yield primary;
      yield* shiftPieces(esp.pieces(), partitionOffset(espPartition));
      yield* shiftPieces(root.pieces(), rootOffset);
      yield backup;
    },
  };

  function planEsp({ espTree }: DiskPlanInput, place: Partition): FatPlan<DiskContent> {
    try {
      return planFat(espTree, {
        size: partitionSize(place),
        volumeId: identityNumber(identity, "ESP"),
        time,
        label: ESP_NAME,
        hiddenSectors: place.firstLba,
      });
    } catch (error) {
      if (!(error instanceof FormatError) || !/^fat\.(?:full|too-small)$/.test(error.code)) throw error;
      throw espTooSmall(partitionSize(place), error);
    }
  }
}

/** Bytes of the root partition, or `undefined` where the file system decides. */
function rootPartitionSize({ rootSize, size }: DiskPlanInput, rootOffset: number): number | undefined {
  if (rootSize !== undefined) return alignUp(rootSize, PARTITION_ALIGNMENT);
  if (size === undefined) return undefined;
  const left = Math.floor(size / PARTITION_ALIGNMENT) * PARTITION_ALIGNMENT - PARTITION_ALIGNMENT - rootOffset;
  if (left < PARTITION_ALIGNMENT) throw diskTooSmall(size, rootOffset + 2 * PARTITION_ALIGNMENT);
  return left;
}

function planRoot({ identity, rootTree, time }: DiskPlanInput, size: number | undefined): Ext4Plan<DiskContent> {
  try {
    return planExt4(rootTree, {
      uuid: identityUuid(identity, "root file system"),
      hashSeed: identityUuid(identity, "root directory hashes"),
      time: { sec: BigInt(time), nsec: 0 },
      label: ROOT_NAME,
      ...(size === undefined ? { freeSize: ROOT_FREE_SIZE } : { size }),
    });
  } catch (error) {
    if (!(error instanceof FormatError) || !/^ext4\.too-(?:small|few-inodes)$/.test(error.code)) throw error;
    throw rootTooSmall(rootTree, size ?? 0, error);
  }
}

function espTooSmall(size: number, cause: FormatError): PolicyError {
  const needed = Number(cause.data["neededBytes"] ?? size);
  const enough = alignUp(needed + 2 * MIB + Math.ceil(needed / 64), MIB);
  return new PolicyError(
    "disk.esp-too-small",
    `the ESP has ${showMib(size)}, its files need ${showMib(needed)}: ${cause.message}`,
    { cause, data: { size, needed }, hint: `give it more with --esp-size ${Math.ceil(enough / MIB)}M` },
  );
}

function rootTooSmall(rootTree: Ext4Directory<DiskContent>, size: number, cause: FormatError): PolicyError {
  const { size: needed } = planExt4(rootTree, {
    uuid: new Uint8Array(16),
    hashSeed: new Uint8Array(16),
    time: { sec: 0n, nsec: 0 },
  });
  return new PolicyError(
    "disk.root-too-small",
    `the root partition has ${showMib(size)}, the deployment needs ${showMib(needed)} without room for a host's own files`,
    {
      cause,
      data: { size, needed },
      hint: `give it more with --root-size or --size; --root-size ${Math.ceil((needed + ROOT_FREE_SIZE) / MIB)}M leaves 1 GiB`,
    },
  );
}

function diskTooSmall(size: number, needed: number): PolicyError {
  return new PolicyError(
    "disk.too-small",
    `the disk has ${showMib(size)}, its partitions need ${showMib(needed)} at least`,
    { data: { size, needed }, hint: "raise --size, or lower --esp-size or --root-size" },
  );
}

/** Whole MiB, so that sizes that nearly fit are told apart. */
const showMib = (size: number): string => `${Math.ceil(size / MIB)} MiB`;
