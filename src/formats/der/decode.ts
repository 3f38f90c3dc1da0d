import { toHex } from "../../lib/bytes/numbers.ts";
import { FormatError, quote } from "../../lib/errors.ts";
import { MAX_OID_SIZE, showTag, TAG } from "./layout.ts";

/** The part of a DER value that decoding its content needs. */
interface Stored {
  readonly tag: number;
  readonly offset: number;
  readonly content: Uint8Array;
}

function refuse(code: string, { offset }: Stored, what: string, expected: string, found: string): never {
  throw new FormatError(code, { what, offset, expected, found });
}

/** X.690 §8.3: two's complement, no leading octet that could be left out. */
export function decodeInteger(stored: Stored, what: string): bigint {
  const { content } = stored;
  const [first, second] = content;
  if (first === undefined) refuse("der.integer.empty", stored, what, "at least one byte", "none");
  if (second !== undefined && ((first === 0x00 && second < 0x80) || (first === 0xff && second >= 0x80))) {
    refuse("der.integer.not-minimal", stored, what, "the fewest bytes", toHex(content.subarray(0, 8)));
  }
  return BigInt.asIntN(content.length * 8, BigInt(`0x${toHex(content)}`));
}

/** X.690 §8.19: base-128 arcs, no leading 0x80 in an arc. Arcs above 2^53 are refused as a safety limit. */
export function decodeOid(stored: Stored, what: string): string {
  const { content } = stored;
  const malformed = (found: string): never =>
    refuse("der.oid.malformed", stored, what, `arcs of at most ${MAX_OID_SIZE} bytes in all`, found);
  if (content.length === 0 || content.length > MAX_OID_SIZE) malformed(`${content.length} bytes`);
  const arcs: number[] = [];
  let arc = 0;
  let inside = false;
  for (const byte of content) {
    if (!inside && byte === 0x80) malformed("an arc with a leading zero");
    arc = arc * 128 + (byte & 0x7f);
    if (arc > Number.MAX_SAFE_INTEGER) malformed("an arc above 2^53");
    inside = byte >= 0x80;
    if (!inside) {
      arcs.push(arc);
      arc = 0;
    }
  }
  if (inside) malformed("an arc without its last byte");
  const [first = 0, ...rest] = arcs;
  const root = Math.min(Math.floor(first / 40), 2);
  return [root, first - root * 40, ...rest].join(".");
}

/** X.690 §8.6, §11.2: unused bits are counted in the first byte and are zero. */
export function decodeBitString(stored: Stored, what: string): { bytes: Uint8Array; unusedBits: number } {
  const unusedBits = stored.content[0];
  const bytes = stored.content.subarray(1);
  const last = bytes.at(-1) ?? 0;
  const fits = unusedBits !== undefined && unusedBits <= (bytes.length === 0 ? 0 : 7);
  if (!fits || (last & ((1 << unusedBits) - 1)) !== 0) {
    const found = toHex(stored.content.subarray(0, 8));
    refuse("der.bit-string.malformed", stored, what, "a count of unused bits, and these zero", found);
  }
  return { bytes, unusedBits };
}

const TIMES: Readonly<Record<number, RegExp>> = {
  [TAG.UTC_TIME]: /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/,
  [TAG.GENERALIZED_TIME]: /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/,
};

/** RFC 5280 §4.1.2.5: to the second, `Z`; a two-digit year below 50 is in this century. */
export function decodeTime(stored: Stored, what: string): Date {
  const text = Buffer.from(stored.content.subarray(0, 32)).toString("latin1");
  const fields = TIMES[stored.tag]?.exec(text)?.slice(1).map(Number);
  if (fields === undefined) {
    refuse(
      "der.time.malformed",
      stored,
      what,
      "YYMMDDHHMMSSZ or YYYYMMDDHHMMSSZ",
      `${showTag(stored.tag)} ${quote(text)}`,
    );
  }
  const [yy = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = fields;
  const year = stored.tag === TAG.GENERALIZED_TIME ? yy : yy + (yy < 50 ? 2000 : 1900);
  const time = new Date(0);
  time.setUTCFullYear(year, month - 1, day);
  time.setUTCHours(hour, minute, second);
  // Date carries 31 April over to May: a date that is in the calendar comes back unchanged.
  const same = time.getUTCMonth() === month - 1 && time.getUTCDate() === day && time.getUTCHours() === hour;
  if (!same || time.getUTCMinutes() !== minute || time.getUTCSeconds() !== second) {
    refuse("der.time.malformed", stored, what, "a date of the calendar", quote(text));
  }
  return time;
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const utf16 = new TextDecoder("utf-16be", { fatal: true, ignoreBOM: true });

/** Decodes the character strings of X.520 DirectoryString, and IA5String, each by its own alphabet. */
export function decodeString(stored: Stored, what: string): string {
  const { tag, content } = stored;
  const latin1 = (allowed: RegExp): string => {
    const text = Buffer.from(content).toString("latin1");
    if (!allowed.test(text))
      refuse("der.string.malformed", stored, what, `the alphabet of ${showTag(tag)}`, quote(text));
    return text;
  };
  try {
    switch (tag) {
      case TAG.UTF8_STRING:
        return utf8.decode(content);
      case TAG.BMP_STRING:
        return utf16.decode(content);
      case TAG.PRINTABLE_STRING:
        // "*", "@", "&" and "_" are not in X.680 Table 10, but stand in certificates of public authorities.
        return latin1(/^[A-Za-z0-9 '()+,\-./:=?*@&_]*$/);
      case TAG.IA5_STRING:
        return latin1(/^\p{ASCII}*$/u);
      case TAG.TELETEX_STRING:
        return latin1(/^[^]*$/);
      default:
        return refuse("der.tag.unexpected", stored, what, "a character string", showTag(tag));
    }
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return refuse("der.string.malformed", stored, what, `well-formed ${showTag(tag)}`, toHex(content.subarray(0, 16)));
  }
}
