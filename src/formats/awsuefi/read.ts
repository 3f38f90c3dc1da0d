import { inflateSync } from "node:zlib";
import { crc32cOf } from "../../lib/bytes/crc32c.ts";
import { Cursor } from "../../lib/bytes/cursor.ts";
import type { Guid } from "../../lib/bytes/guid.ts";
import { FormatError, UnsupportedError } from "../../lib/errors.ts";
import {
  CHECKED_FROM,
  DIGEST_SIZE,
  HEADER_SIZE,
  MAGIC,
  MAX_PLAIN_SIZE,
  MAX_VARIABLES,
  TIME_BASED_AUTHENTICATION,
  TIME_SIZE,
  VERSION,
} from "./layout.ts";

/** A variable as EC2 keeps it. */
export interface AwsVariable {
  readonly name: string;
  readonly vendor: Guid;
  readonly attributes: number;
  readonly data: Uint8Array;
  /** EFI_TIME, of variables with time-based authentication; zeros by default. */
  readonly time?: Uint8Array;
  /** Likewise, 32 bytes. */
  readonly digest?: Uint8Array;
}

/** FDICT in the second byte of a zlib stream (RFC 1950 §2.2). */
const PRESET_DICTIONARY = 0x20;
const TRUNCATED = "awsuefi.truncated";

/**
 * Reads variables of EC2.
 *
 * @param bytes decoded from base64
 * @param dictionary needed for what EC2 itself wrote
 * @returns variables whose bytes are views into what was unpacked
 * @throws {FormatError} `awsuefi.truncated`, `awsuefi.magic`, `awsuefi.checksum`, `awsuefi.zlib`, `awsuefi.count`,
 *   `awsuefi.digest`, `awsuefi.name`, `awsuefi.trailing`
 * @throws {UnsupportedError} `awsuefi.version`, `awsuefi.dictionary`
 */
export function parseAwsVariables(bytes: Uint8Array, dictionary?: Uint8Array): AwsVariable[] {
  const what = "UEFI data of EC2";
  const header = new Cursor(bytes, what, TRUNCATED);
  const magic = Buffer.from(header.bytes(MAGIC.length, "magic")).toString("latin1");
  if (magic !== MAGIC) {
    throw new FormatError("awsuefi.magic", { what, offset: 0, expected: MAGIC, found: JSON.stringify(magic) });
  }
  const [stored, version] = [header.u32le("checksum"), header.u32le("version")];
  const computed = crc32cOf(bytes.subarray(CHECKED_FROM));
  if (stored !== computed) {
    throw new FormatError("awsuefi.checksum", {
      what: `${what}: CRC-32C`,
      offset: 8,
      expected: hex32(computed),
      found: hex32(stored),
    });
  }
  if (version !== VERSION) {
    throw new UnsupportedError("awsuefi.version", `${what}: version ${version}: only version ${VERSION} is known`);
  }
  return readVariables(new Cursor(unpack(bytes, dictionary, what), what, TRUNCATED), what);
}

const hex32 = (value: number): string => `0x${value.toString(16).padStart(8, "0")}`;

function unpack(bytes: Uint8Array, dictionary: Uint8Array | undefined, what: string): Uint8Array {
  if (((bytes[HEADER_SIZE + 1] ?? 0) & PRESET_DICTIONARY) !== 0 && dictionary === undefined) {
    throw new UnsupportedError(
      "awsuefi.dictionary",
      `${what}: compressed with a preset dictionary, which is not known`,
      {
        hint: "read it with python-uefivars: uefivars -i aws -o json",
      },
    );
  }
  try {
    const options = { maxOutputLength: MAX_PLAIN_SIZE, ...(dictionary === undefined ? {} : { dictionary }) };
    return inflateSync(bytes.subarray(HEADER_SIZE), options);
  } catch (error) {
    const found = error instanceof Error ? error.message : "something else";
    throw new FormatError("awsuefi.zlib", { what, offset: HEADER_SIZE, expected: "a zlib stream", found });
  }
}

function readVariables(cursor: Cursor, what: string): AwsVariable[] {
  const count = cursor.u64le("count");
  if (count > MAX_VARIABLES) {
    const expected = `at most ${MAX_VARIABLES} variables`;
    throw new FormatError("awsuefi.count", { what, offset: 0, expected, found: String(count) });
  }
  const variables = Array.from({ length: Number(count) }, () => readVariable(cursor, what));
  if (cursor.remaining > 0) {
    const found = `${cursor.remaining} bytes more`;
    throw new FormatError("awsuefi.trailing", { what, offset: cursor.offset, expected: "its end", found });
  }
  return variables;
}

function readVariable(cursor: Cursor, what: string): AwsVariable {
  const counted = (field: string): Uint8Array => {
    const size = cursor.u64le(`${field} length`);
    return cursor.bytes(size > BigInt(MAX_PLAIN_SIZE) ? MAX_PLAIN_SIZE : Number(size), field);
  };
  const at = cursor.offset;
  const name = decodeName(counted("name"), at, what);
  const data = counted("data");
  const vendor = cursor.bytes(16, "vendor");
  const attributes = cursor.u32le("attributes");
  if ((attributes & TIME_BASED_AUTHENTICATION) === 0) return { name, vendor, attributes, data };
  const time = cursor.bytes(TIME_SIZE, "time");
  const digestAt = cursor.offset;
  const digest = counted("digest");
  if (digest.length !== DIGEST_SIZE) {
    const [expected, found] = [`${DIGEST_SIZE} bytes`, `${digest.length}`];
    throw new FormatError("awsuefi.digest", { what: `${what}: digest`, offset: digestAt, expected, found });
  }
  return { name, vendor, attributes, data, time, digest };
}

function decodeName(bytes: Uint8Array, offset: number, what: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new FormatError("awsuefi.name", { what: `${what}: name`, offset, expected: "UTF-8", found: "other bytes" });
  }
}
