/** Where everything goes on an updated disk: both file systems anew in their places, every other byte as it was. */
import { type Ext4Plan, planExt4 } from "../../../formats/ext4/index.ts";
import { type FatPlan, planFat } from "../../../formats/fat/index.ts";
import { encodeGpt, type Partition, partitionOffset, partitionSize, SECTOR_SIZE } from "../../../formats/gpt/index.ts";
import { alignUp } from "../../../lib/bytes/numbers.ts";
import { type BytesPiece, type Piece, shiftPieces } from "../../../lib/bytes/piece.ts";
import { FormatError, PolicyError, UsageError } from "../../../lib/errors.ts";
import type { DiskContent } from "../../../model/disk/content.ts";
import { PARTITION_ALIGNMENT } from "../../../model/disk/layout.ts";
import { StoredRange } from "../../../model/disk/stored-content.ts";
import { type EspFile, toFatTree } from "../esp.ts";
import type { DiskPlan } from "../plan.ts";
import type { RootDirectory } from "../tree-builder.ts";
import type { StoredDisk } from "./stored-disk.ts";

export interface UpdatePlanInput {
  readonly stored: StoredDisk;
  readonly espFiles: ReadonlyMap<string, EspFile>;
  readonly rootTree: RootDirectory;
  /** Of what is new, in seconds since 1970. */
  readonly time: number;
  /** Bytes of the disk; as many as it has when absent. */
  readonly size: number | undefined;
}

const MIB = 1 << 20;
/** What a hint leaves to the host. */
const ROOT_FREE_SIZE = 1 << 30;

/**
 * @throws {PolicyError} `disk.esp-too-small`, `disk.root-too-small`, `disk.update.root-not-last`
 * @throws {UsageError} `disk.size-unit`, `disk.update.size`
 * @throws what `planExt4` and `planFat` throw for trees they cannot store
 */
export function planUpdate(input: UpdatePlanInput): DiskPlan {
  const { stored, time } = input;
  const { disk, table } = stored;
  const size = input.size ?? disk.source.size;
  const grown = input.size === undefined ? undefined : growTable(stored, size);
  const { partitions, root: rootPartition } = grown ?? { partitions: table.partitions, root: stored.root.partition };
  const tables = grown && encodeTables(stored, size, partitions);
  const esp = planEsp(input);
  const root = planRoot(input, rootPartition);
  const old = new StoredRange(disk.source);
  /** What is neither of the two file systems. */
  function* others(from: number, to: number): Generator<Piece<DiskContent>, void, void> {
    if (from < to) yield { offset: from, content: old, from, size: to - from };
  }
  const volumes = [
    { partition: stored.esp.partition, pieces: () => esp.pieces() },
    { partition: rootPartition, pieces: () => root.pieces() },
  ].sort((a, b) => a.partition.firstLba - b.partition.firstLba);
  return {
    size,
    id: table.diskGuid,
    time,
    partitions,
    esp,
    root,
    *pieces() {
      let at = 0;
      if (tables !== undefined) {
        yield tables.primary;
        at = tables.primary.bytes.length;
      }
      for (const { partition, pieces } of volumes) {
        yield* others(at, partitionOffset(partition));
        yield* shiftPieces(pieces(), partitionOffset(partition));
        at = partitionOffset(partition) + partitionSize(partition);
      }
      // A disk that grows ends with its root partition and the table behind it.
      if (tables === undefined) yield* others(at, size);
      else yield tables.backup;
    },
  };
}

interface GrownTable {
  readonly root: Partition;
  readonly partitions: readonly Partition[];
}

/** The partition table of a larger disk: the root partition reaches to its end. */
function growTable({ disk, root: { partition }, table }: StoredDisk, size: number): GrownTable {
  if (size % SECTOR_SIZE !== 0) {
    throw new UsageError("disk.size-unit", `--size: found ${size} bytes, expected a multiple of ${SECTOR_SIZE}`);
  }
  if (size < disk.source.size) {
    throw new UsageError(
      "disk.update.size",
      `--size: found ${showMib(size)}, the disk has ${showMib(disk.source.size)}`,
      {
        hint: "a disk cannot become smaller: build it anew with sealwright disk build",
      },
    );
  }
  const behind = table.partitions.find(({ firstLba }) => firstLba > partition.firstLba);
  if (behind !== undefined) {
    throw new PolicyError("disk.update.root-not-last", `partition "${behind.name}" is behind the root partition`, {
      hint: "only a root partition at the end of a disk can grow",
    });
  }
  const end = Math.floor(size / PARTITION_ALIGNMENT) * PARTITION_ALIGNMENT - PARTITION_ALIGNMENT;
  const lastLba = Math.max(partition.lastLba, end / SECTOR_SIZE - 1);
  const root = { ...partition, lastLba };
  return { root, partitions: table.partitions.map((one) => (one === partition ? root : one)) };
}

/** Both tables; the code of a boot loader in front of the protective MBR's own record stays. */
function encodeTables(
  { disk, table }: StoredDisk,
  size: number,
  partitions: readonly Partition[],
): { readonly primary: BytesPiece; readonly backup: BytesPiece } {
  const [primary, backup] = encodeGpt(size, { diskGuid: table.diskGuid, partitions });
  const bytes = Buffer.from(primary.bytes);
  bytes.set(disk.source.read(0, BOOT_CODE_SIZE));
  return { primary: { offset: 0, bytes }, backup };
}

/** Up to the disk signature of the MBR. */
const BOOT_CODE_SIZE = 440;

function planEsp({ espFiles, stored: { esp }, time }: UpdatePlanInput): FatPlan<DiskContent> {
  const { partition, volume } = esp;
  const size = partitionSize(partition);
  try {
    return planFat(toFatTree(espFiles), {
      size,
      volumeId: volume.volumeId,
      time,
      label: volume.label === "NO NAME" ? "" : volume.label,
      hiddenSectors: partition.firstLba,
    });
  } catch (cause) {
    if (!(cause instanceof FormatError) || cause.code !== "fat.full") throw cause;
    const needed = Number(cause.data["neededBytes"] ?? size);
    throw new PolicyError(
      "disk.esp-too-small",
      `the ESP has ${showMib(size)}, two deployments need ${showMib(needed)} on it`,
      {
        cause,
        data: { size, needed },
        hint: `build the disk anew: sealwright disk build --esp-size ${Math.ceil((1.5 * needed) / MIB)}M`,
      },
    );
  }
}

function planRoot({ rootTree, stored: { root }, time }: UpdatePlanInput, partition: Partition): Ext4Plan<DiskContent> {
  const { blockSize, hashSeed, label, reservedBlocks, uuid } = root.volume;
  const size = partitionSize(partition);
  try {
    return planExt4(rootTree, {
      uuid,
      hashSeed,
      time: { sec: BigInt(time), nsec: 0 },
      label,
      size,
      reservedSize: reservedBlocks * blockSize,
    });
  } catch (cause) {
    if (!(cause instanceof FormatError) || !/^ext4\.too-(?:small|few-inodes)$/.test(cause.code)) throw cause;
    const needed = Number(cause.data["neededBytes"] ?? size);
    const enough = alignUp(partitionOffset(partition) + needed + ROOT_FREE_SIZE, MIB);
    throw new PolicyError(
      "disk.root-too-small",
      `the root partition has ${showMib(size)}, its deployments need ${showMib(needed)} without room for the host's own files`,
      { cause, data: { size, needed }, hint: `let the disk grow: --size ${enough / MIB}M leaves 1 GiB` },
    );
  }
}

const showMib = (size: number): string => `${Math.ceil(size / MIB)} MiB`;
