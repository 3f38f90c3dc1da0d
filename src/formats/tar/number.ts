import { bytesToByteString } from "../../lib/bytes/byte-string.ts";
import { FormatError, quote } from "../../lib/errors.ts";
import { TAR_FIELD } from "./layout.ts";

const ZERO = 0x30;
const SPACE = 0x20;
const PLUS = 0x2b;
const U64_MAX = 2n ** 64n - 1n;
const I64_MIN = -(2n ** 63n);

/** Where a number stands, for refusals. */
export interface Place {
  readonly what: string;
  /** In the archive. */
  readonly offset: number;
}

/** Fields that GNU tar also writes negative: times before 1970, and -2 for nobody. */
const SIGNED: ReadonlySet<keyof typeof TAR_FIELD> = new Set(["mtime", "uid", "gid"]);

/**
 * Reads a numeric header field: octal digits up to NUL with blanks around them, or GNU base-256 when the top bit is
 * set. A blank field is 0, and one plus sign passes, as in composefs-rs.
 *
 * @param offset of the header in the archive
 * @returns a `number` up to 2^53 - 1, a `bigint` beyond: almost every field is small, and the reader is hot
 * @throws {FormatError} `tar.number.malformed`, `tar.number.negative`, `tar.number.too-large`
 */
export function parseNumber(block: Uint8Array, field: keyof typeof TAR_FIELD, offset: number): number | bigint {
  const [from] = TAR_FIELD[field];
  if ((block[from] as number) & 0x80) return parseBase256(block, field, offset);
  return parseOctal(block, field, offset);
}

/**
 * Reads a numeric header field that is octal in any case.
 *
 * @throws {FormatError} `tar.number.malformed`
 */
export function parseOctal(block: Uint8Array, field: keyof typeof TAR_FIELD, offset: number): number {
  const [from, size] = TAR_FIELD[field];
  const end = from + size;
  let at = from;
  while (at < end && isBlank(block[at] as number)) at++;
  if (block[at] === PLUS && isOctalDigit(block[at + 1])) at++;
  let value = 0;
  for (; at < end; at++) {
    const digit = (block[at] as number) - ZERO;
    if (digit < 0 || digit > 7) break;
    value = value * 8 + digit; // at most 12 digits, 2^36
  }
  while (at < end && isBlank(block[at] as number)) at++;
  if (at < end && block[at] !== 0) {
    const found = quote(bytesToByteString(block.subarray(from, end)));
    throw new FormatError("tar.number.malformed", { ...fieldPlace(field, offset), expected: "octal digits", found });
  }
  return value;
}

function parseBase256(block: Uint8Array, field: keyof typeof TAR_FIELD, offset: number): number | bigint {
  const [from, size] = TAR_FIELD[field];
  const place = fieldPlace(field, offset);
  const first = block[from] as number;
  const negative = (first & 0x40) !== 0;
  if (negative && !SIGNED.has(field)) {
    throw new FormatError("tar.number.negative", { ...place, expected: "0 or more", found: "a negative number" });
  }
  let value = negative ? BigInt(first) - 0x100n : BigInt(first & 0x3f);
  for (const byte of block.subarray(from + 1, from + size)) value = (value << 8n) | BigInt(byte);
  return narrow(value, place);
}

const fieldPlace = (field: keyof typeof TAR_FIELD, offset: number): Place => ({
  what: `tar header: ${field}`,
  offset: offset + TAR_FIELD[field][0],
});

/** One plus sign passes, as in the integer parser of composefs-rs. */
export const DECIMAL = /^\+?\d+$/;

/**
 * Reads a decimal PAX value.
 *
 * @throws {FormatError} `tar.number.malformed` (also for negative ones), `tar.number.too-large`
 */
export function parseDecimal(text: string, place: Place): number | bigint {
  if (!DECIMAL.test(text)) {
    throw new FormatError("tar.number.malformed", { ...place, expected: "decimal digits", found: quote(text) });
  }
  return text.length < 16 ? Number(text) : narrow(BigInt(text.replace("+", "")), place);
}

function narrow(value: bigint, place: Place): number | bigint {
  if (value > U64_MAX || value < I64_MIN) {
    const expected = value < 0n ? "at least -2^63" : "at most 2^64 - 1";
    throw new FormatError("tar.number.too-large", { ...place, expected, found: String(value) });
  }
  const small = Number(value);
  return Number.isSafeInteger(small) ? small : value;
}

function isOctalDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= ZERO && byte < ZERO + 8;
}

function isBlank(byte: number): boolean {
  return byte === SPACE || (byte >= 0x09 && byte <= 0x0d);
}
