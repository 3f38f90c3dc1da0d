import type { Field } from "../../lib/bytes/field.ts";
import { type Guid, parseGuid } from "../../lib/bytes/guid.ts";

export const SECTOR_SIZE = 512;

/** "EFI PART", UEFI 2.10 table 5.5. */
export const SIGNATURE = 0x5452415020494645n;
export const REVISION = 0x0001_0000;
export const HEADER_SIZE = 92;
export const ENTRY_SIZE = 128;
/** UEFI 2.10 section 5.3.1 reserves at least 16 384 bytes for the partition entry array. */
export const ENTRY_COUNT = 128;

/** GPT header, UEFI 2.10 table 5.5. */
export const HEADER = {
  signature: [0, 8],
  revision: [8, 4],
  headerSize: [12, 4],
  headerCrc32: [16, 4],
  myLba: [24, 8],
  alternateLba: [32, 8],
  firstUsableLba: [40, 8],
  lastUsableLba: [48, 8],
  partitionEntryLba: [72, 8],
  numberOfPartitionEntries: [80, 4],
  sizeOfPartitionEntry: [84, 4],
  partitionEntryArrayCrc32: [88, 4],
} as const satisfies Record<string, Field>;
export const HEADER_DISK_GUID = 56;

/** Partition entry, UEFI 2.10 table 5.6. */
export const ENTRY = { firstLba: [32, 8], lastLba: [40, 8] } as const satisfies Record<string, Field>;
export const ENTRY_UNIQUE_GUID = 16;
export const ENTRY_ATTRIBUTES = 48;
export const ENTRY_NAME = 56;
/** UTF-16 code units. */
export const NAME_MAX = 36;

/** First partition record of the protective MBR, UEFI 2.10 table 5.4. */
export const MBR_RECORD = 446;
export const MBR_SIGNATURE: Field = [510, 2];
export const MBR_RECORD_FIELDS = {
  osType: [4, 1],
  startingLba: [8, 4],
  sizeInLba: [12, 4],
} as const satisfies Record<string, Field>;
export const GPT_PROTECTIVE = 0xee;

/** Most entries we read. Safety limit, not a format rule: no tool writes more than 128 unasked. */
export const MAX_ENTRY_COUNT = 1024;
/** Widest entry we read. Safety limit, not a format rule. */
export const MAX_ENTRY_SIZE = 4096;

/** Types of the partitions of a sealed disk: UEFI 2.10 table 5.7 and the Discoverable Partitions Specification. */
export const PARTITION_TYPES = {
  esp: parseGuid("c12a7328-f81f-11d2-ba4b-00a0c93ec93b"),
  xbootldr: parseGuid("bc13c2ff-59e6-4262-a352-b275fd6f7172"),
  biosBoot: parseGuid("21686148-6449-6e6f-744e-656564454649"),
  linuxData: parseGuid("0fc63daf-8483-4772-8e79-3d69d8477de4"),
  rootX86_64: parseGuid("4f68bce3-e8cd-4db1-96e7-fbcaf984b709"),
  rootArm64: parseGuid("b921b045-1df0-41c3-af44-4c6f280d3fae"),
} as const satisfies Record<string, Guid>;

/** Attribute bits, UEFI 2.10 table 5.8; grow-file-system and read-only as in the Discoverable Partitions Specification. */
export const PARTITION_ATTRIBUTES = {
  requiredPartition: 1n << 0n,
  noBlockIoProtocol: 1n << 1n,
  legacyBiosBootable: 1n << 2n,
  growFileSystem: 1n << 59n,
  readOnly: 1n << 60n,
  noAuto: 1n << 63n,
} as const;
