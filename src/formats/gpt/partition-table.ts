import type { Guid } from "../../lib/bytes/guid.ts";
import { FormatError } from "../../lib/errors.ts";

export interface Partition {
  readonly typeGuid: Guid;
  readonly uniqueGuid: Guid;
  readonly firstLba: number;
  /** Inclusive, as the format has it. */
  readonly lastLba: number;
  /** 64 bits, see `PARTITION_ATTRIBUTES`. */
  readonly attributes: bigint;
  /** At most 36 UTF-16 code units. */
  readonly name: string;
  /** Index in the entry array; that in the list when absent. */
  readonly slot?: number;
}

export interface PartitionTable {
  readonly diskGuid: Guid;
  /** In the order of the entry array; unused entries in between are left out. */
  readonly partitions: readonly Partition[];
}

export const partitionOffset = (partition: Partition, sectorSize = 512): number => partition.firstLba * sectorSize;
export const partitionSize = (partition: Partition, sectorSize = 512): number =>
  (partition.lastLba - partition.firstLba + 1) * sectorSize;

/**
 * What UEFI 2.10 section 5.3.3 asks of the entries together: inside the usable LBAs, first before last, no overlap.
 *
 * @throws {FormatError} `gpt.partition.out-of-bounds`, `gpt.partition.overlap`, `gpt.partition.same-guid`
 */
export function requireSoundPartitions(
  partitions: readonly Partition[],
  usable: { readonly first: number; readonly last: number },
): void {
  for (const { firstLba, lastLba, name } of partitions) {
    if (firstLba > lastLba || firstLba < usable.first || lastLba > usable.last) {
      throw new FormatError("gpt.partition.out-of-bounds", {
        what: `GPT partition ${JSON.stringify(name)}`,
        expected: `LBA ${usable.first} to ${usable.last}`,
        found: `LBA ${firstLba} to ${lastLba}`,
      });
    }
  }
  const byLba = [...partitions].sort((a, b) => a.firstLba - b.firstLba);
  for (const [index, next] of byLba.entries()) {
    const before = byLba[index - 1];
    if (before !== undefined && next.firstLba <= before.lastLba) {
      throw new FormatError("gpt.partition.overlap", {
        what: `GPT partition ${JSON.stringify(next.name)}`,
        expected: `first LBA above ${before.lastLba}, the end of ${JSON.stringify(before.name)}`,
        found: String(next.firstLba),
      });
    }
  }
  const unique = new Set(partitions.map(({ uniqueGuid }) => Buffer.from(uniqueGuid).toString("hex")));
  if (unique.size !== partitions.length) {
    throw new FormatError("gpt.partition.same-guid", {
      what: "GPT partition entries",
      expected: `${partitions.length} unique GUIDs`,
      found: String(unique.size),
    });
  }
}
