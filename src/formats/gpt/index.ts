/**
 * GUID partition tables: encode one for a disk size and a list of partitions, parse one and check both copies.
 *
 *     LBA 0       protective MBR
 *     LBA 1       primary header ──────┐ CRC-32 of itself and of the array
 *     LBA 2..33   partition entry array┘ 128 entries of 128 bytes
 *     LBA 34..    usable
 *     last - 32   the same array
 *     last        backup header
 *
 * Not supported: sectors other than 512 bytes, hybrid MBRs, repair of a damaged copy.
 *
 * @see UEFI 2.10 chapter 5
 */
export { PARTITION_ATTRIBUTES, PARTITION_TYPES, SECTOR_SIZE } from "./layout.ts";
export { type Partition, type PartitionTable, partitionOffset, partitionSize } from "./partition-table.ts";
export { parseGpt } from "./read.ts";
export { encodeGpt, usableLbas } from "./write.ts";
