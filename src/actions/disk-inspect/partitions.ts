import { openExt4 } from "../../formats/ext4/index.ts";
import { openFat } from "../../formats/fat/index.ts";
import { PARTITION_TYPES, type Partition, partitionOffset, partitionSize } from "../../formats/gpt/index.ts";
import type { ByteSource } from "../../lib/bytes/byte-source.ts";
import { showGuid } from "../../lib/bytes/guid.ts";
import { equalBytes, toHex } from "../../lib/bytes/numbers.ts";
import { countFreeBytes } from "../../model/disk/esp.ts";
import { findFileSystem, partitionSource } from "../../model/disk/partitions.ts";
import type { Attempt } from "./attempt.ts";
import type { FileSystemReport, PartitionReport } from "./report.ts";

const TYPE_NAMES: Readonly<Record<keyof typeof PARTITION_TYPES, string>> = {
  esp: "EFI system",
  xbootldr: "extended boot loader",
  biosBoot: "BIOS boot",
  linuxData: "Linux data",
  rootX86_64: "root, x86-64",
  rootArm64: "root, arm64",
};

export function describePartition(
  disk: ByteSource,
  partition: Partition,
  index: number,
  attempt: Attempt,
): PartitionReport {
  const { name, typeGuid, uniqueGuid } = partition;
  const names = Object.keys(TYPE_NAMES) as (keyof typeof TYPE_NAMES)[];
  const known = names.find((type) => equalBytes(PARTITION_TYPES[type], typeGuid));
  return {
    number: index + 1,
    name,
    type: showGuid(typeGuid),
    ...(known === undefined ? {} : { typeName: TYPE_NAMES[known] }),
    guid: showGuid(uniqueGuid),
    offset: partitionOffset(partition),
    size: partitionSize(partition),
    fileSystem: attempt(`partition ${index + 1}`, () => describeFileSystem(partitionSource(disk, partition))),
  };
}

function describeFileSystem(source: ByteSource): FileSystemReport | null {
  const type = findFileSystem(source);
  if (type === undefined) return null;
  if (type === "fat") {
    const volume = openFat(source);
    const id = volume.volumeId.toString(16).toUpperCase().padStart(8, "0");
    return {
      type: volume.type,
      label: volume.label,
      uuid: `${id.slice(0, 4)}-${id.slice(4)}`,
      size: volume.clusterCount * volume.clusterSize,
      free: countFreeBytes(volume),
    };
  }
  if (type !== "ext4") return { type };
  const { blockCount, blockSize, freeBlocks, hasVerity, label, uuid } = openExt4(source);
  return {
    type,
    label,
    uuid: toHex(uuid).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5"),
    size: blockCount * blockSize,
    free: freeBlocks * blockSize,
    verity: hasVerity,
  };
}
