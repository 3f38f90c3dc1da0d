import { crc32 } from "node:zlib";
import { setField, viewOf } from "../../lib/bytes/field.ts";
import type { BytesPiece } from "../../lib/bytes/piece.ts";
import { FormatError } from "../../lib/errors.ts";
import {
  ENTRY,
  ENTRY_ATTRIBUTES,
  ENTRY_COUNT,
  ENTRY_NAME,
  ENTRY_SIZE,
  ENTRY_UNIQUE_GUID,
  GPT_PROTECTIVE,
  HEADER,
  HEADER_DISK_GUID,
  HEADER_SIZE,
  MBR_RECORD,
  MBR_RECORD_FIELDS,
  MBR_SIGNATURE,
  NAME_MAX,
  REVISION,
  SECTOR_SIZE,
  SIGNATURE,
} from "./layout.ts";
import { type Partition, type PartitionTable, requireSoundPartitions } from "./partition-table.ts";

/** Sectors that the entry array takes, at either end of the disk. */
const ARRAY_SECTORS = (ENTRY_COUNT * ENTRY_SIZE) / SECTOR_SIZE;

/**
 * First and last LBA that partitions may use on a disk.
 *
 * @param diskSize bytes, a multiple of 512
 * @throws {FormatError} `gpt.disk-size` when the disk has no room for the tables or is no whole number of sectors
 */
export function usableLbas(diskSize: number): { readonly first: number; readonly last: number } {
  const sectors = diskSize / SECTOR_SIZE;
  const first = 2 + ARRAY_SECTORS;
  const last = sectors - 2 - ARRAY_SECTORS;
  if (!Number.isSafeInteger(sectors) || last < first) {
    throw new FormatError("gpt.disk-size", {
      what: "GPT disk size",
      expected: `a multiple of ${SECTOR_SIZE}, at least ${2 * first * SECTOR_SIZE}`,
      found: `${diskSize} bytes`,
    });
  }
  return { first, last };
}

/**
 * Encodes the protective MBR, the primary and the backup GPT.
 *
 * @returns two pieces: sectors 0 to 33 and the last 33 sectors
 * @throws {FormatError} `gpt.disk-size`, `gpt.too-many-partitions`, `gpt.partition.*`
 * @see UEFI 2.10 chapter 5
 */
export function encodeGpt(diskSize: number, table: PartitionTable): [primary: BytesPiece, backup: BytesPiece] {
  const usable = usableLbas(diskSize);
  if (table.partitions.length > ENTRY_COUNT) throw tooMany(String(table.partitions.length));
  requireSoundPartitions(table.partitions, usable);

  const entries = new Uint8Array(ENTRY_COUNT * ENTRY_SIZE);
  for (const [index, partition] of table.partitions.entries()) {
    const { slot = index } = partition;
    if (slot >= ENTRY_COUNT) throw tooMany(`slot ${slot}`);
    entries.set(encodeEntry(partition), slot * ENTRY_SIZE);
  }
  const lastLba = diskSize / SECTOR_SIZE - 1;
  const header = (myLba: number, alternateLba: number, partitionEntryLba: number): Uint8Array =>
    encodeHeader({ myLba, alternateLba, partitionEntryLba, usable, diskGuid: table.diskGuid, entries });

  return [
    {
      offset: 0,
      bytes: Buffer.concat([encodeProtectiveMbr(lastLba), header(1, lastLba, 2), entries]),
    },
    {
      offset: (lastLba - ARRAY_SECTORS) * SECTOR_SIZE,
      bytes: Buffer.concat([entries, header(lastLba, 1, lastLba - ARRAY_SECTORS)]),
    },
  ];
}

const tooMany = (found: string): FormatError =>
  new FormatError("gpt.too-many-partitions", {
    what: "GPT partition entries",
    expected: `at most ${ENTRY_COUNT}`,
    found,
  });

function encodeProtectiveMbr(lastLba: number): Uint8Array {
  const sector = new Uint8Array(SECTOR_SIZE);
  const record = viewOf(sector.subarray(MBR_RECORD, MBR_RECORD + 16));
  // Table 5.4: starting CHS 0x000200; ending CHS 0xFFFFFF where the last sector cannot be said in CHS.
  sector.set([0x00, 0x02, 0x00], MBR_RECORD + 1);
  sector.set([0xff, 0xff, 0xff], MBR_RECORD + 5);
  setField(record, MBR_RECORD_FIELDS.osType, GPT_PROTECTIVE);
  setField(record, MBR_RECORD_FIELDS.startingLba, 1);
  setField(record, MBR_RECORD_FIELDS.sizeInLba, Math.min(lastLba, 0xffff_ffff));
  setField(viewOf(sector), MBR_SIGNATURE, 0xaa55);
  return sector;
}

function encodeHeader(header: {
  myLba: number;
  alternateLba: number;
  partitionEntryLba: number;
  usable: { first: number; last: number };
  diskGuid: Uint8Array;
  entries: Uint8Array;
}): Uint8Array {
  const sector = new Uint8Array(SECTOR_SIZE);
  const view = viewOf(sector);
  view.setBigUint64(HEADER.signature[0], SIGNATURE, true);
  setField(view, HEADER.revision, REVISION);
  setField(view, HEADER.headerSize, HEADER_SIZE);
  setField(view, HEADER.myLba, header.myLba);
  setField(view, HEADER.alternateLba, header.alternateLba);
  setField(view, HEADER.firstUsableLba, header.usable.first);
  setField(view, HEADER.lastUsableLba, header.usable.last);
  sector.set(header.diskGuid, HEADER_DISK_GUID);
  setField(view, HEADER.partitionEntryLba, header.partitionEntryLba);
  setField(view, HEADER.numberOfPartitionEntries, ENTRY_COUNT);
  setField(view, HEADER.sizeOfPartitionEntry, ENTRY_SIZE);
  setField(view, HEADER.partitionEntryArrayCrc32, crc32(header.entries));
  setField(view, HEADER.headerCrc32, crc32(sector.subarray(0, HEADER_SIZE)));
  return sector;
}

function encodeEntry(partition: Partition): Uint8Array {
  const name = Buffer.from(partition.name, "utf16le");
  if (name.length > NAME_MAX * 2 || partition.name.includes("\0")) {
    throw new FormatError("gpt.partition.name", {
      what: `GPT partition name ${JSON.stringify(partition.name.slice(0, 80))}`,
      expected: `at most ${NAME_MAX} UTF-16 code units, none zero`,
      found: `${name.length / 2}`,
    });
  }
  const entry = new Uint8Array(ENTRY_SIZE);
  const view = viewOf(entry);
  entry.set(partition.typeGuid, 0);
  entry.set(partition.uniqueGuid, ENTRY_UNIQUE_GUID);
  setField(view, ENTRY.firstLba, partition.firstLba);
  setField(view, ENTRY.lastLba, partition.lastLba);
  view.setBigUint64(ENTRY_ATTRIBUTES, partition.attributes, true);
  entry.set(name, ENTRY_NAME);
  return entry;
}
