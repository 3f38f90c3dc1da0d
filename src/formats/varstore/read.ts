import { Cursor } from "../../lib/bytes/cursor.ts";
import { type Guid, showGuid } from "../../lib/bytes/guid.ts";
import { alignUp, equalBytes, toHex } from "../../lib/bytes/numbers.ts";
import { FormatError, UnsupportedError } from "../../lib/errors.ts";
import {
  AUTHENTICATED_STORE,
  MAX_STORE_FILE_SIZE,
  NV_DATA_VOLUME,
  PLAIN_STORE,
  RECORD_ALIGNMENT,
  RECORD_HEADER_SIZE,
  RECORD_MAGIC,
  STATE_ADDED,
  STATE_REPLACING,
  STORE_FORMATTED,
  STORE_HEADER_SIZE,
  STORE_HEALTHY,
  VOLUME_HEADER_SIZE,
  VOLUME_SIGNATURE,
} from "./layout.ts";

/** A variable as the firmware keeps it in flash. */
export interface StoredVariable {
  readonly name: string;
  readonly vendor: Guid;
  readonly attributes: number;
  /** EFI_TIME of the last authenticated write; zeros where none was needed. */
  readonly time: Uint8Array;
  readonly data: Uint8Array;
  /** Counter-based authentication, deprecated: zero in all that firmware of today writes. */
  readonly monotonicCount: bigint;
  readonly publicKeyIndex: number;
}

export interface VariableStore {
  /** Live variables in the order of the store. */
  readonly variables: readonly StoredVariable[];
  /** Where records may lie, from the start of the file. */
  readonly recordsStart: number;
  readonly recordsEnd: number;
}

const TRUNCATED = "varstore.truncated";

/**
 * Reads the variable store of an OVMF or AAVMF flash image.
 *
 * @returns variables whose bytes are views into `bytes`
 * @throws {FormatError} `varstore.too-large`, `varstore.truncated`, `varstore.volume`, `varstore.checksum`,
 *   `varstore.header`, `varstore.record`
 * @throws {UnsupportedError} `varstore.plain` for a build whose records have no time, hence no Secure Boot
 */
export function parseVariableStore(bytes: Uint8Array, what = "variable store"): VariableStore {
  if (bytes.length > MAX_STORE_FILE_SIZE) {
    const expected = `at most ${MAX_STORE_FILE_SIZE} bytes`;
    throw new FormatError("varstore.too-large", { what, expected, found: String(bytes.length) });
  }
  const cursor = new Cursor(bytes, what, TRUNCATED);
  const volumeSize = readVolumeHeader(cursor, what);
  const recordsEnd = VOLUME_HEADER_SIZE + readStoreHeader(cursor, what, volumeSize - VOLUME_HEADER_SIZE);
  const recordsStart = cursor.offset;
  const records = [...readRecords(bytes.subarray(0, recordsEnd), recordsStart, what)];
  return { variables: liveVariables(records), recordsStart, recordsEnd };
}

/** @returns FvLength */
function readVolumeHeader(cursor: Cursor, what: string): number {
  const header = cursor.bytes(VOLUME_HEADER_SIZE, "volume header");
  const fields = new Cursor(header, what, TRUNCATED);
  fields.skip(16, "ZeroVector");
  expectField("varstore.volume", what, "FileSystemGuid", 16, showGuid(fields.bytes(16, "")), showGuid(NV_DATA_VOLUME));
  const size = fields.u64le("FvLength");
  const signature = Buffer.from(fields.bytes(4, "Signature")).toString("latin1");
  expectField("varstore.volume", what, "Signature", 40, JSON.stringify(signature), JSON.stringify(VOLUME_SIGNATURE));
  fields.skip(4, "Attributes");
  expectField("varstore.volume", what, "HeaderLength", 48, fields.u16le("HeaderLength"), VOLUME_HEADER_SIZE);
  let sum = 0;
  for (let at = 0; at < header.length; at += 2) sum += (header[at] ?? 0) | ((header[at + 1] ?? 0) << 8);
  expectField("varstore.checksum", what, "sum of the 16-bit words of the volume header", 50, sum & 0xffff, 0);
  if (size > BigInt(cursor.remaining + VOLUME_HEADER_SIZE) || size < VOLUME_HEADER_SIZE + STORE_HEADER_SIZE) {
    throw new FormatError("varstore.volume", {
      what: `${what}: FvLength`,
      offset: 32,
      expected: `at most the ${cursor.remaining + VOLUME_HEADER_SIZE} bytes of the file`,
      found: String(size),
    });
  }
  return Number(size);
}

/** @returns size of the store, with this header */
function readStoreHeader(cursor: Cursor, what: string, limit: number): number {
  const at = cursor.offset;
  const guid = cursor.bytes(16, "store GUID");
  if (equalBytes(guid, PLAIN_STORE)) {
    throw new UnsupportedError("varstore.plain", `${what}: a store without authenticated variables`, {
      hint: "take the variable store of a firmware built with Secure Boot",
    });
  }
  expectField("varstore.header", what, "store GUID", at, showGuid(guid), showGuid(AUTHENTICATED_STORE));
  const size = cursor.u32le("store size");
  if (size < STORE_HEADER_SIZE || size > limit) {
    const expected = `${STORE_HEADER_SIZE} to ${limit}`;
    throw new FormatError("varstore.header", {
      what: `${what}: store size`,
      offset: at + 16,
      expected,
      found: `${size}`,
    });
  }
  expectField("varstore.header", what, "store format", at + 20, cursor.u8("Format"), STORE_FORMATTED);
  expectField("varstore.header", what, "store state", at + 21, cursor.u8("State"), STORE_HEALTHY);
  cursor.skip(6, "Reserved");
  return size;
}

interface StoredRecord {
  readonly state: number;
  readonly variable: StoredVariable;
}

/** Records follow each other until one does not begin with the magic, which is where the flash is erased. */
function* readRecords(bytes: Uint8Array, start: number, what: string): Generator<StoredRecord, void, void> {
  const cursor = new Cursor(bytes, what, "varstore.record");
  cursor.offset = start;
  while (cursor.remaining >= RECORD_HEADER_SIZE && cursor.u16le("StartId") === RECORD_MAGIC) {
    const at = cursor.offset - 2;
    const state = cursor.u8("State");
    cursor.skip(1, "Reserved");
    const attributes = cursor.u32le("Attributes");
    const monotonicCount = cursor.u64le("MonotonicCount");
    const time = cursor.bytes(16, "TimeStamp");
    const publicKeyIndex = cursor.u32le("PubKeyIndex");
    const [nameSize, dataSize] = [cursor.u32le("NameSize"), cursor.u32le("DataSize")];
    const vendor = cursor.bytes(16, "VendorGuid");
    const name = cursor.bytes(nameSize, "Name");
    const data = cursor.bytes(dataSize, "Data");
    // What is deleted or half-written is skipped by its sizes, whatever else it says.
    if (state === STATE_ADDED || state === STATE_REPLACING) {
      const text = decodeName(name, at + RECORD_HEADER_SIZE, what);
      yield { state, variable: { name: text, vendor, attributes, time, data, monotonicCount, publicKeyIndex } };
    }
    cursor.offset = Math.min(alignUp(cursor.offset, RECORD_ALIGNMENT), bytes.length);
  }
}

function decodeName(bytes: Uint8Array, offset: number, what: string): string {
  const text = Buffer.from(bytes).toString("utf16le");
  if (bytes.length < 4 || bytes.length % 2 !== 0 || text.indexOf("\0") !== text.length - 1) {
    throw new FormatError("varstore.record", {
      what: `${what}: name of a variable`,
      offset,
      expected: "UTF-16LE that ends with its only NUL",
      found: `${bytes.length} bytes 0x${toHex(bytes.subarray(0, 32))}`,
    });
  }
  return text.slice(0, -1);
}

function liveVariables(records: readonly StoredRecord[]): StoredVariable[] {
  const keyOf = ({ variable: { name, vendor } }: StoredRecord): string => `${toHex(vendor)} ${name}`;
  const added = new Set(records.filter(({ state }) => state === STATE_ADDED).map(keyOf));
  return records
    .filter((record) => record.state === STATE_ADDED || !added.has(keyOf(record)))
    .map(({ variable }) => variable);
}

function expectField<T extends number | string>(
  code: string,
  what: string,
  field: string,
  offset: number,
  found: T,
  expected: T,
): void {
  const show = (value: T): string => (typeof value === "number" ? `0x${value.toString(16)}` : value);
  if (found !== expected) {
    throw new FormatError(code, { what: `${what}: ${field}`, offset, expected: show(expected), found: show(found) });
  }
}
