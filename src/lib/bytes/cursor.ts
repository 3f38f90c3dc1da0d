import { FormatError } from "../errors.ts";

/**
 * A bounds-checked reader over bytes that knows what it is reading, so that every refusal says where.
 *
 * @example
 * const c = new Cursor(bytes, "GPT header", "gpt.truncated");
 * const revision = c.u32le("revision");
 */
export class Cursor {
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #what: string;
  readonly #code: string;
  /** Bytes from the start of the structure. */
  offset = 0;

  /** @param code cause code of a read past the end */
  constructor(bytes: Uint8Array, what: string, code: string) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#what = what;
    this.#code = code;
  }

  get remaining(): number {
    return this.#view.byteLength - this.offset;
  }

  u8(field: string): number {
    return this.#view.getUint8(this.#take(1, field));
  }

  u16le(field: string): number {
    return this.#view.getUint16(this.#take(2, field), true);
  }

  u32le(field: string): number {
    return this.#view.getUint32(this.#take(4, field), true);
  }

  u64le(field: string): bigint {
    return this.#view.getBigUint64(this.#take(8, field), true);
  }

  i64le(field: string): bigint {
    return this.#view.getBigInt64(this.#take(8, field), true);
  }

  u16be(field: string): number {
    return this.#view.getUint16(this.#take(2, field));
  }

  u32be(field: string): number {
    return this.#view.getUint32(this.#take(4, field));
  }

  u64be(field: string): bigint {
    return this.#view.getBigUint64(this.#take(8, field));
  }

  /** @returns a view into the bytes, not a copy */
  bytes(size: number, field: string): Uint8Array {
    const at = this.#take(size, field);
    return this.#bytes.subarray(at, at + size);
  }

  skip(size: number, field: string): void {
    this.#take(size, field);
  }

  #take(size: number, field: string): number {
    const at = this.offset;
    if (size < 0 || size > this.#view.byteLength - at) {
      throw new FormatError(this.#code, {
        what: `${this.#what}: ${field}`,
        offset: at,
        expected: `${size} bytes`,
        found: `${this.#view.byteLength - at} left`,
      });
    }
    this.offset = at + size;
    return at;
  }
}
