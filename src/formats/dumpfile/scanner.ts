import { isUtf8 } from "node:buffer";
import { type ByteString, showByteString } from "../../lib/bytes/byte-string.ts";
import { FormatError, quote } from "../../lib/errors.ts";
import { DUMPFILE_NONE, type DumpfileField } from "./layout.ts";

const SPACE = 0x20;
const NEWLINE = 0x0a;
const BACKSLASH = 0x5c;
const DIGIT_0 = 0x30;
const SIMPLE_ESCAPES: Readonly<Record<number, number>> = { 0x5c: 0x5c, 0x6e: 0x0a, 0x72: 0x0d, 0x74: 0x09 };

/** Digits that a `number` holds exactly. */
const SAFE_DECIMALS = 15;

/**
 * Steps over the space-separated fields of a dump. Works on the bytes: a field becomes a string only when it is one
 * in the end, which makes a line cost about as much as hashing it.
 */
export class DumpfileScanner {
  readonly #bytes: Buffer;
  #line = 0;
  #lineEnd = -1;
  /** The current field is [start, end). */
  #start = 0;
  #end = -1;

  /** @throws {FormatError} `dumpfile.not-utf8` */
  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (!isUtf8(bytes)) {
      throw new FormatError("dumpfile.not-utf8", {
        what: "dumpfile",
        expected: "UTF-8, every other byte escaped as \\xNN",
        found: "bytes that are none",
      });
    }
  }

  /** Moves to the next line that is not empty. */
  nextLine(): boolean {
    for (;;) {
      const start = this.#lineEnd + 1;
      if (start >= this.#bytes.length) return false;
      const end = this.#bytes.indexOf(NEWLINE, start);
      this.#lineEnd = end === -1 ? this.#bytes.length : end;
      this.#line++;
      this.#end = start - 1;
      if (this.#lineEnd > start) return true;
    }
  }

  get hasField(): boolean {
    return this.#end < this.#lineEnd;
  }

  /** Moves to the next field of the line. */
  field(name: DumpfileField | "xattr"): this {
    if (!this.hasField) throw this.refuse("dumpfile.field.missing", name, "a field", "the end of the line");
    const start = this.#end + 1;
    let end = start;
    while (end < this.#lineEnd && this.#bytes[end] !== SPACE) end++;
    this.#start = start;
    this.#end = end;
    return this;
  }

  /** What follows the field on the line. */
  get rest(): string {
    return this.#bytes.toString("latin1", this.#end, this.#lineEnd);
  }

  get restSize(): number {
    return this.#lineEnd - this.#end;
  }

  get length(): number {
    return this.#end - this.#start;
  }

  /** Whether the field says that there is no value. */
  get isNone(): boolean {
    return this.length === 1 && this.#bytes[this.#start] === DUMPFILE_NONE.charCodeAt(0);
  }

  /** The field as it stands, up to 80 bytes of it. */
  get text(): string {
    return this.#bytes.toString("latin1", this.#start, Math.min(this.#end, this.#start + 81));
  }

  /** Drops the first byte of the field when it is this one. */
  skipByte(byte: number): boolean {
    if (this.length === 0 || this.#bytes[this.#start] !== byte) return false;
    this.#start++;
    return true;
  }

  /** An unsigned number in the given radix, at most `max`. */
  number(name: DumpfileField, radix: 8 | 10, max: number): number {
    const value = digits(this.#bytes, this.#start, this.#end, radix);
    if (value === undefined || value > max) {
      const expected = `${radix === 8 ? "an octal" : "a decimal"} number up to ${max.toString(radix)}`;
      throw this.refuse("dumpfile.number.malformed", name, expected, quote(this.text));
    }
    return value;
  }

  /** An unsigned decimal of up to 64 bits. */
  bigint(name: DumpfileField, start: number = this.#start, end: number = this.#end): bigint {
    const value = digits(this.#bytes, start, end, 10);
    if (value !== undefined) return BigInt(value);
    const text = this.#bytes.toString("latin1", start, Math.min(end, start + 40));
    const big = /^[0-9]+$/.test(text) ? BigInt(text) : -1n;
    if (big < 0n || BigInt.asUintN(64, big) !== big) {
      throw this.refuse("dumpfile.number.malformed", name, "a decimal number of up to 64 bits", quote(this.text));
    }
    return big;
  }

  /** `SECONDS.NANOSECONDS`: two integers, not a fraction. */
  time(): { readonly sec: bigint; readonly nsec: number } {
    const point = this.#bytes.indexOf(0x2e, this.#start);
    const nsec = point === -1 || point >= this.#end ? undefined : digits(this.#bytes, point + 1, this.#end, 10);
    if (nsec === undefined || nsec > 999_999_999) {
      throw this.refuse("dumpfile.mtime.malformed", "MTIME", "SECONDS.NANOSECONDS", quote(this.text));
    }
    const sec = this.bigint("MTIME", this.#start, point);
    if (BigInt.asIntN(64, sec) !== sec) {
      throw this.refuse("dumpfile.mtime.malformed", "MTIME", "seconds below 2^63", quote(this.text));
    }
    return { sec, nsec };
  }

  /** The value of the field, escapes undone. */
  string(name: DumpfileField | "xattr", start: number = this.#start, end: number = this.#end): ByteString {
    for (let at = start; at < end; at++) {
      if (this.#bytes[at] === BACKSLASH) return this.#unescape(name, start, end).toString("latin1") as ByteString;
    }
    return this.#bytes.toString("latin1", start, end) as ByteString;
  }

  /** The value of the field as bytes of its own. */
  bytes(name: DumpfileField): Uint8Array {
    return Uint8Array.from(this.#unescape(name, this.#start, this.#end));
  }

  /** The bytes that hex digits of either case stand for; undefined when there are other characters. */
  hex(): Uint8Array | undefined {
    const { length } = this;
    const value = new Uint8Array(length >> 1);
    for (let at = 0; at < value.length; at++) {
      const high = hexDigit(this.#bytes[this.#start + 2 * at] as number);
      const low = hexDigit(this.#bytes[this.#start + 2 * at + 1] as number);
      if (high < 0 || low < 0) return undefined;
      value[at] = (high << 4) | low;
    }
    return length % 2 === 0 ? value : undefined;
  }

  /** `KEY=VALUE`. */
  xattr(): { readonly name: ByteString; readonly value: ByteString } {
    const equals = this.#bytes.indexOf(0x3d, this.#start);
    if (equals === -1 || equals >= this.#end) {
      throw this.refuse("dumpfile.xattr.malformed", "xattr", "KEY=VALUE", quote(this.text));
    }
    return {
      name: this.string("xattr", this.#start, equals),
      value: this.string("xattr", equals + 1, this.#end),
    };
  }

  refuse(code: string, field: DumpfileField | "xattr", expected: string, found: string): FormatError {
    const what = `dumpfile line ${this.#line}: ${field}`;
    return new FormatError(code, { what, expected, found }, { data: { line: this.#line } });
  }

  #unescape(name: DumpfileField | "xattr", start: number, end: number): Buffer {
    const value = Buffer.allocUnsafe(end - start);
    let length = 0;
    for (let at = start; at < end; at++) {
      let byte = this.#bytes[at] as number;
      if (byte === BACKSLASH) {
        const kind = at + 1 < end ? (this.#bytes[++at] as number) : 0;
        if (kind === 0x78) {
          const high = at + 2 < end ? hexDigit(this.#bytes[at + 1] as number) : -1;
          const low = at + 2 < end ? hexDigit(this.#bytes[at + 2] as number) : -1;
          if (high < 0 || low < 0) throw this.#badEscape(name, at - 1, end);
          byte = (high << 4) | low;
          at += 2;
        } else {
          const simple = SIMPLE_ESCAPES[kind];
          if (simple === undefined) throw this.#badEscape(name, at - 1, end);
          byte = simple;
        }
      }
      value[length++] = byte;
    }
    return value.subarray(0, length);
  }

  #badEscape(name: DumpfileField | "xattr", at: number, end: number): FormatError {
    const found = showByteString(this.#bytes.toString("latin1", at, Math.min(end, at + 4)) as ByteString);
    return this.refuse("dumpfile.escape.malformed", name, "\\\\, \\n, \\r, \\t or \\xNN", quote(found));
  }
}

/** undefined when there are none, other characters, or too many for a `number`. */
function digits(bytes: Uint8Array, start: number, end: number, radix: 8 | 10): number | undefined {
  if (start === end || end - start > SAFE_DECIMALS) return undefined;
  let value = 0;
  for (let at = start; at < end; at++) {
    const digit = (bytes[at] as number) - DIGIT_0;
    if (digit < 0 || digit >= radix) return undefined;
    value = value * radix + digit;
  }
  return value;
}

function hexDigit(byte: number): number {
  if (byte >= DIGIT_0 && byte <= DIGIT_0 + 9) return byte - DIGIT_0;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
