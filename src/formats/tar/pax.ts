import { isUtf8 } from "node:buffer";
import { type ByteString, byteString, byteStringToBytes, bytesToByteString } from "../../lib/bytes/byte-string.ts";
import { FormatError, quote, UnsupportedError } from "../../lib/errors.ts";
import { PAX_SPARSE_PREFIX, PAX_XATTR_PREFIX } from "./layout.ts";
import { DECIMAL, type Place, parseDecimal } from "./number.ts";

/** What a PAX header says about the entry that follows it; absent when it says nothing. */
export interface PaxValues {
  path?: ByteString;
  linkPath?: ByteString;
  size?: number | bigint;
  uid?: number | bigint;
  gid?: number | bigint;
  mtimeSec?: number | bigint;
  mtimeNsec?: number;
  readonly xattrs: Map<ByteString, ByteString>;
}

const SPACE = 0x20;
const EQUALS = 0x3d;
const NEWLINE = 0x0a;

/**
 * Cuts PAX records, `LENGTH KEYWORD=VALUE\n`, by their lengths: a value may hold newlines and NULs.
 *
 * @throws {FormatError} `tar.pax.malformed` when a record does not have this form
 * @see POSIX.1-2024 pax, "pax Extended Header"
 */
export function* paxRecords(
  data: Uint8Array,
  offset: number,
): Generator<readonly [keyword: Uint8Array, value: Uint8Array]> {
  const malformed = (at: number, expected: string): FormatError => {
    const found = quote(bytesToByteString(data.subarray(at, at + 40)));
    return new FormatError("tar.pax.malformed", { what: "PAX record", offset: offset + at, expected, found });
  };
  let at = 0;
  while (at < data.length) {
    let size = 0;
    let from = at;
    for (; from < data.length && data[from] !== SPACE; from++) {
      const digit = (data[from] as number) - 0x30;
      if (digit < 0 || digit > 9) throw malformed(at, "a decimal length and a space");
      size = size * 10 + digit;
      if (size > data.length) break;
    }
    const end = at + size;
    if (end > data.length || end <= from + 1) throw malformed(at, `a length within the ${data.length - at} bytes left`);
    if (data[end - 1] !== NEWLINE) throw malformed(at, "a newline at the end of the length");
    const equals = data.indexOf(EQUALS, from);
    if (equals === -1 || equals >= end) throw malformed(at, "KEYWORD=VALUE");
    yield [data.subarray(from + 1, equals), data.subarray(equals + 1, end - 1)];
    at = end;
  }
}

/**
 * Reads the records that count for a tree; all other keywords are passed over.
 *
 * A repeated keyword replaces the earlier one, except that the fraction of the FIRST `mtime` stays: composefs-rs
 * looks for the two parts separately, and its digests are the reference.
 *
 * @throws {FormatError} `tar.pax.malformed`, `tar.pax.keyword-not-utf8`, `tar.pax.mtime-malformed`,
 *   `tar.xattr.name-empty`, `tar.number.*`
 * @throws {UnsupportedError} `tar.sparse.unsupported`
 */
export function parsePax(data: Uint8Array, offset: number): PaxValues {
  const values: PaxValues = { xattrs: new Map() };
  for (const [keywordBytes, valueBytes] of paxRecords(data, offset)) {
    const keyword = bytesToByteString(keywordBytes);
    const place: Place = { what: `PAX record ${quote(keyword)}`, offset };
    if (!isUtf8(keywordBytes)) {
      throw new FormatError("tar.pax.keyword-not-utf8", {
        ...place,
        expected: "a UTF-8 keyword",
        found: "other bytes",
      });
    }
    if (keyword.startsWith(PAX_SPARSE_PREFIX)) {
      throw new UnsupportedError(
        "tar.sparse.unsupported",
        `${place.what} at byte ${offset}: sparse files are not supported`,
      );
    }
    const value = bytesToByteString(valueBytes);
    if (keyword.startsWith(PAX_XATTR_PREFIX)) {
      const name = keyword.slice(PAX_XATTR_PREFIX.length) as ByteString;
      if (name === "") throw new FormatError("tar.xattr.name-empty", { ...place, expected: "a name", found: "none" });
      values.xattrs.set(name, value);
      continue;
    }
    switch (keyword as string) {
      case "path":
        values.path = value;
        break;
      case "linkpath":
        values.linkPath = value;
        break;
      case "size":
      case "uid":
      case "gid":
        values[keyword as "size" | "uid" | "gid"] = parseDecimal(value, place);
        break;
      case "mtime":
        if (!isUtf8(valueBytes) || cutsCharacter(value)) {
          throw new FormatError("tar.pax.mtime-malformed", { ...place, expected: "a decimal", found: quote(value) });
        }
        values.mtimeSec = parseDecimal(value.split(".", 1)[0] as string, place);
        values.mtimeNsec ??= parseNanoseconds(value);
        break;
    }
  }
  return values;
}

/** 0..999_999_999; whatever cannot be read as digits counts as 0 (composefs specification, section 3.2). */
export function parseNanoseconds(mtime: string): number {
  const dot = mtime.indexOf(".");
  if (dot === -1) return 0;
  const digits = mtime.slice(dot + 1, dot + 10);
  return DECIMAL.test(digits) ? Number(digits) * 10 ** (9 - digits.length) : 0;
}

/** A character across the end of the ninth digit: composefs-rs, which cuts there, stops with a panic. */
function cutsCharacter(mtime: string): boolean {
  const dot = mtime.indexOf(".");
  return dot !== -1 && (mtime.charCodeAt(dot + 10) & 0xc0) === 0x80;
}

/** One record; its length counts itself, so a longer length may need one digit more. */
export function encodePaxRecord(keyword: ByteString, value: ByteString): ByteString {
  const rest = ` ${keyword}=${value}\n`;
  let size = rest.length + 1;
  while (String(size).length + rest.length !== size) size = String(size).length + rest.length;
  return `${size}${rest}` as ByteString;
}

/** Records in the order given. */
export function encodePax(records: Iterable<readonly [keyword: string, value: ByteString]>): Uint8Array {
  let text = "";
  for (const [keyword, value] of records) text += encodePaxRecord(keyword as ByteString, value);
  return byteStringToBytes(text as ByteString);
}

/** Seconds with the fraction cut after its last digit that is not 0: `12`, `12.05`. */
export function paxTime(sec: bigint | number, nsec: number): ByteString {
  if (nsec === 0) return byteString(String(sec));
  return byteString(`${sec}.${String(nsec).padStart(9, "0").replace(/0+$/, "")}`);
}
