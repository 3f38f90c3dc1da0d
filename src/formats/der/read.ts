import { toHex } from "../../lib/bytes/numbers.ts";
import { FormatError } from "../../lib/errors.ts";
import { decodeBitString, decodeInteger, decodeOid, decodeString, decodeTime } from "./decode.ts";
import { contextTag, MAX_DEPTH, showTag, TAG } from "./layout.ts";

/** One tag-length-value triple. */
export interface DerValue {
  readonly tag: number;
  /** Bytes from the start of the outermost structure to the tag. */
  readonly offset: number;
  /** Tag, length and content; a view. */
  readonly raw: Uint8Array;
  /** Content octets; a view. */
  readonly content: Uint8Array;
}

interface Position {
  readonly what: string;
  readonly offset: number;
  readonly depth: number;
}

/**
 * Reads DER values one after the other; a constructed value gives a reader over its content.
 *
 * Strict: definite lengths in their shortest form, single-byte tags, nothing after the last expected value. Nothing
 * is read deeper than the caller asks, so time and memory are bounded by the bytes that the caller looks at.
 *
 * @example
 * const algorithm = readOnly(bytes, TAG.SEQUENCE, "AlgorithmIdentifier");
 * const oid = algorithm.oid("algorithm");
 * @see X.690 (02/2021) §8, §10, §11
 */
export class DerReader {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  readonly #base: number;
  readonly #depth: number;
  #at = 0;

  /** @param what the structure, for messages */
  constructor(bytes: Uint8Array, what: string, position?: Position) {
    this.#bytes = bytes;
    this.#what = position?.what ?? what;
    this.#base = position?.offset ?? 0;
    this.#depth = position?.depth ?? 0;
  }

  get done(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** Bytes from the start of the outermost structure. */
  get offset(): number {
    return this.#base + this.#at;
  }

  /** Is the next value one with this tag? */
  nextIs(tag: number): boolean {
    return this.#bytes[this.#at] === tag;
  }

  /** The next value, whatever its tag. */
  any(field: string): DerValue {
    const start = this.#at;
    const tag = this.#byte(start, field);
    if ((tag & 0x1f) === 0x1f) this.#refuse("der.tag.high-form", field, start, "a tag number below 31", showTag(tag));
    const { size, headerSize } = this.#length(start + 1, field);
    const contentStart = start + 1 + headerSize;
    if (size > this.#bytes.length - contentStart) {
      this.#refuse("der.truncated", field, start, `${size} content bytes`, `${this.#bytes.length - contentStart} left`);
    }
    this.#at = contentStart + size;
    return {
      tag,
      offset: this.#base + start,
      raw: this.#bytes.subarray(start, this.#at),
      content: this.#bytes.subarray(contentStart, this.#at),
    };
  }

  /** @throws {FormatError} `der.tag.unexpected` when the next value has another tag */
  value(tag: number, field: string): DerValue {
    const start = this.#at;
    const value = this.any(field);
    if (value.tag !== tag) this.#refuse("der.tag.unexpected", field, start, showTag(tag), showTag(value.tag));
    return value;
  }

  /** A reader over the content of the next value. */
  constructed(tag: number, field: string): DerReader {
    return this.into(this.value(tag, field), field);
  }

  /** A reader over the content of a value that this reader gave. */
  into(value: DerValue, field: string): DerReader {
    const what = `${this.#what}: ${field}`;
    if (this.#depth === MAX_DEPTH) {
      throw new FormatError("der.depth", {
        what,
        offset: value.offset,
        expected: `at most ${MAX_DEPTH} nested values`,
        found: "more",
      });
    }
    const offset = value.offset + value.raw.length - value.content.length;
    return new DerReader(value.content, what, { what, offset, depth: this.#depth + 1 });
  }

  sequence(field: string): DerReader {
    return this.constructed(TAG.SEQUENCE, field);
  }

  set(field: string): DerReader {
    return this.constructed(TAG.SET, field);
  }

  /** EXPLICIT `[number]`, or IMPLICIT of a constructed type. */
  context(number: number, field: string): DerReader {
    return this.constructed(contextTag(number), field);
  }

  oid(field: string): string {
    return decodeOid(this.value(TAG.OBJECT_IDENTIFIER, field), `${this.#what}: ${field}`);
  }

  integer(field: string): bigint {
    return decodeInteger(this.value(TAG.INTEGER, field), `${this.#what}: ${field}`);
  }

  octetString(field: string): Uint8Array {
    return this.value(TAG.OCTET_STRING, field).content;
  }

  bitString(field: string): { readonly bytes: Uint8Array; readonly unusedBits: number } {
    return decodeBitString(this.value(TAG.BIT_STRING, field), `${this.#what}: ${field}`);
  }

  boolean(field: string): boolean {
    const { content, offset } = this.value(TAG.BOOLEAN, field);
    if (content.length === 1 && (content[0] === 0x00 || content[0] === 0xff)) return content[0] === 0xff;
    throw new FormatError("der.boolean.malformed", {
      what: `${this.#what}: ${field}`,
      offset,
      expected: "one byte 00 or ff",
      found: toHex(content.subarray(0, 8)),
    });
  }

  null(field: string): void {
    const { content, offset } = this.value(TAG.NULL, field);
    if (content.length === 0) return;
    throw new FormatError("der.null.malformed", {
      what: `${this.#what}: ${field}`,
      offset,
      expected: "no content",
      found: `${content.length} bytes`,
    });
  }

  /** UTCTime or GeneralizedTime, in the forms that RFC 5280 §4.1.2.5 leaves: to the second, in UTC. */
  time(field: string): Date {
    return decodeTime(this.any(field), `${this.#what}: ${field}`);
  }

  /** Any of the character strings of a DirectoryString, and IA5String. */
  string(field: string): string {
    return decodeString(this.any(field), `${this.#what}: ${field}`);
  }

  /** @throws {FormatError} `der.trailing` when something follows the last value */
  end(): void {
    if (!this.done) {
      this.#refuse("der.trailing", "end", this.#at, "nothing more", `${this.#bytes.length - this.#at} bytes`);
    }
  }

  #byte(at: number, field: string): number {
    const byte = this.#bytes[at];
    if (byte === undefined) this.#refuse("der.truncated", field, at, "one more byte", "the end");
    return byte;
  }

  /** X.690 §8.1.3 with §10.1: short form below 128, else the fewest length octets. */
  #length(at: number, field: string): { readonly size: number; readonly headerSize: number } {
    const first = this.#byte(at, field);
    if (first < 0x80) return { size: first, headerSize: 1 };
    const octets = first & 0x7f;
    if (octets === 0) this.#refuse("der.length.indefinite", field, at, "a definite length", "0x80");
    if (octets > 4) this.#refuse("der.length.too-large", field, at, "at most 4 length octets", String(octets));
    let size = 0;
    for (let i = 1; i <= octets; i++) size = size * 256 + this.#byte(at + i, field);
    if (size < 0x80 || size < 256 ** (octets - 1)) {
      this.#refuse("der.length.not-minimal", field, at, "the shortest form", `${octets} octets for ${size}`);
    }
    return { size, headerSize: 1 + octets };
  }

  #refuse(code: string, field: string, at: number, expected: string, found: string): never {
    throw new FormatError(code, { what: `${this.#what}: ${field}`, offset: this.#base + at, expected, found });
  }
}

/** Reads bytes that are exactly one constructed value of this tag. */
export function readOnly(bytes: Uint8Array, tag: number, what: string): DerReader {
  const reader = new DerReader(bytes, what);
  const value = reader.value(tag, "outermost value");
  reader.end();
  return new DerReader(value.content, what, { what, offset: bytes.length - value.content.length, depth: 1 });
}
