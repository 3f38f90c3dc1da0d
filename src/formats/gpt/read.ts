import { crc32 } from "node:zlib";
import { type ByteSource, readRange } from "../../lib/bytes/byte-source.ts";
import { getField, viewOf } from "../../lib/bytes/field.ts";
import { equalBytes } from "../../lib/bytes/numbers.ts";
import { FormatError } from "../../lib/errors.ts";
import {
  ENTRY,
  ENTRY_ATTRIBUTES,
  ENTRY_NAME,
  ENTRY_SIZE,
  ENTRY_UNIQUE_GUID,
  GPT_PROTECTIVE,
  HEADER,
  HEADER_DISK_GUID,
  HEADER_SIZE,
  MAX_ENTRY_COUNT,
  MAX_ENTRY_SIZE,
  MBR_RECORD,
  MBR_RECORD_FIELDS,
  MBR_SIGNATURE,
  NAME_MAX,
  SECTOR_SIZE,
  SIGNATURE,
} from "./layout.ts";
import { type Partition, type PartitionTable, requireSoundPartitions } from "./partition-table.ts";

interface Header {
  readonly bytes: Uint8Array;
  readonly alternateLba: number;
  readonly usable: { readonly first: number; readonly last: number };
  readonly partitionEntryLba: number;
  readonly entryCount: number;
  readonly entrySize: number;
  readonly entriesCrc32: number;
}

/**
 * Parses the partition table of a disk and checks that both of its copies hold and agree.
 *
 * A disk that is larger than its table says (an image copied to a bigger disk) is fine: the backup is where the
 * primary header says it is.
 *
 * @throws {FormatError} `gpt.truncated`, `gpt.mbr.*`, `gpt.header.*`, `gpt.entries.*`, `gpt.partition.*`,
 *   `gpt.backup.differs`
 * @see UEFI 2.10 sections 5.2.3 and 5.3
 */
export function parseGpt(disk: ByteSource): PartitionTable {
  requireProtectiveMbr(readRange(disk, 0, SECTOR_SIZE, "protective MBR", "gpt.truncated"));
  const primary = parseHeader(disk, 1, "primary GPT header");
  const backup = parseHeader(disk, primary.alternateLba, "backup GPT header");
  if (backup.alternateLba !== 1 || !equalBytes(agreeing(primary), agreeing(backup))) {
    throw new FormatError("gpt.backup.differs", {
      what: "backup GPT header",
      offset: primary.alternateLba * SECTOR_SIZE,
      expected: "the values of the primary header",
      found: "others",
    });
  }
  // Only one array is parsed: the CRC, which both headers carry, holds for both.
  const entries = readEntries(disk, primary, "primary GPT partition entries");
  readEntries(disk, backup, "backup GPT partition entries");

  const partitions = parseEntries(entries, primary.entrySize);
  requireSoundPartitions(partitions, primary.usable);
  return { diskGuid: primary.bytes.slice(HEADER_DISK_GUID, HEADER_DISK_GUID + 16), partitions };
}

function requireProtectiveMbr(sector: Uint8Array): void {
  const signature = getField(viewOf(sector), MBR_SIGNATURE);
  if (signature !== 0xaa55) throw refuse("gpt.mbr.signature", "protective MBR: signature", 510, 0xaa55, signature);
  const record = viewOf(sector.subarray(MBR_RECORD, MBR_RECORD + 16));
  const type = getField(record, MBR_RECORD_FIELDS.osType);
  if (type !== GPT_PROTECTIVE) throw refuse("gpt.mbr.type", "protective MBR: type", MBR_RECORD + 4, 0xee, type);
}

function parseHeader(disk: ByteSource, lba: number, what: string): Header {
  const at = lba * SECTOR_SIZE;
  const bytes = readRange(disk, at, SECTOR_SIZE, what, "gpt.truncated").slice();
  const view = viewOf(bytes);
  const signature = view.getBigUint64(HEADER.signature[0], true);
  if (signature !== SIGNATURE) throw refuse("gpt.header.signature", `${what}: signature`, at, SIGNATURE, signature);
  const size = getField(view, HEADER.headerSize);
  if (size < HEADER_SIZE || size > SECTOR_SIZE) {
    throw refuse("gpt.header.size", `${what}: size`, at + HEADER.headerSize[0], HEADER_SIZE, size);
  }
  const stored = getField(view, HEADER.headerCrc32);
  view.setUint32(HEADER.headerCrc32[0], 0);
  const computed = crc32(bytes.subarray(0, size));
  if (stored !== computed) throw refuse("gpt.header.crc", `${what}: CRC`, at + HEADER.headerCrc32[0], computed, stored);
  const myLba = getField(view, HEADER.myLba);
  if (myLba !== lba) throw refuse("gpt.header.my-lba", `${what}: MyLBA`, at + HEADER.myLba[0], lba, myLba);

  const entryCount = getField(view, HEADER.numberOfPartitionEntries);
  const entrySize = getField(view, HEADER.sizeOfPartitionEntry);
  // Section 5.3.2: 128 × 2^n.
  const powerOfTwo = (entrySize & (entrySize - 1)) === 0;
  if (entryCount > MAX_ENTRY_COUNT || entrySize < ENTRY_SIZE || entrySize > MAX_ENTRY_SIZE || !powerOfTwo) {
    throw new FormatError("gpt.entries.size", {
      what: `${what}: partition entry array`,
      offset: at + HEADER.numberOfPartitionEntries[0],
      expected: `at most ${MAX_ENTRY_COUNT} entries of 128 × 2^n bytes, at most ${MAX_ENTRY_SIZE}`,
      found: `${entryCount} entries of ${entrySize} bytes`,
    });
  }
  return {
    bytes,
    alternateLba: getField(view, HEADER.alternateLba),
    usable: { first: getField(view, HEADER.firstUsableLba), last: getField(view, HEADER.lastUsableLba) },
    partitionEntryLba: getField(view, HEADER.partitionEntryLba),
    entryCount,
    entrySize,
    entriesCrc32: getField(view, HEADER.partitionEntryArrayCrc32),
  };
}

/** The fields that the two headers share: usable LBAs and disk GUID; entry count, size and CRC. */
function agreeing({ bytes }: Header): Uint8Array {
  const usableAndGuid = bytes.subarray(HEADER.firstUsableLba[0], HEADER.partitionEntryLba[0]);
  return Buffer.concat([usableAndGuid, bytes.subarray(HEADER.numberOfPartitionEntries[0], HEADER_SIZE)]);
}

function readEntries(disk: ByteSource, header: Header, what: string): Uint8Array {
  const at = header.partitionEntryLba * SECTOR_SIZE;
  const bytes = readRange(disk, at, header.entryCount * header.entrySize, what, "gpt.truncated");
  const computed = crc32(bytes);
  if (computed !== header.entriesCrc32) {
    throw refuse("gpt.entries.crc", `${what}: CRC`, at, header.entriesCrc32, computed);
  }
  return bytes;
}

function parseEntries(entries: Uint8Array, entrySize: number): Partition[] {
  const partitions: Partition[] = [];
  for (let at = 0; at < entries.length; at += entrySize) {
    const entry = entries.slice(at, at + ENTRY_SIZE);
    const typeGuid = entry.subarray(0, 16);
    if (typeGuid.every((byte) => byte === 0)) continue; // unused entry, table 5.7
    const view = viewOf(entry);
    partitions.push({
      typeGuid,
      uniqueGuid: entry.subarray(ENTRY_UNIQUE_GUID, ENTRY_UNIQUE_GUID + 16),
      firstLba: getField(view, ENTRY.firstLba),
      lastLba: getField(view, ENTRY.lastLba),
      attributes: view.getBigUint64(ENTRY_ATTRIBUTES, true),
      name: parseName(entry.subarray(ENTRY_NAME, ENTRY_NAME + NAME_MAX * 2)),
      ...(at / entrySize === partitions.length ? {} : { slot: at / entrySize }),
    });
  }
  return partitions;
}

function parseName(bytes: Uint8Array): string {
  const units = Buffer.from(bytes).toString("utf16le");
  const end = units.indexOf("\0");
  return end === -1 ? units : units.slice(0, end);
}

const hex = (value: number | bigint): string => `0x${value.toString(16)}`;

function refuse(
  code: string,
  what: string,
  offset: number,
  expected: number | bigint,
  found: number | bigint,
): FormatError {
  return new FormatError(code, { what, offset, expected: hex(expected), found: hex(found) });
}
