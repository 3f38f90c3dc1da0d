/**
 * Just enough SQLite to read every row of one table, from bytes that nobody vouches for.
 *
 *     page 1: header (100 bytes), B-tree of the schema
 *     interior page: cells (left child, rowid), right child        leaf page: cells (size, rowid, record)
 *     record: header of serial types, values; what does not fit the page goes on in a chain of overflow pages
 *
 * @see https://www.sqlite.org/fileformat2.html
 */
import { FormatError } from "../../lib/errors.ts";

export type SqliteValue = null | number | bigint | string | Uint8Array;

export interface SqliteRow {
  readonly rowid: bigint;
  /** By column; an INTEGER PRIMARY KEY is stored as null and found in `rowid`. Blobs are views where they fit a page. */
  readonly values: readonly SqliteValue[];
}

const MAGIC = "SQLite format 3\0";
const HEADER = { pageSize: 16, reserved: 20, encoding: 56, size: 100 } as const;
const UTF_8 = 1;
const PAGE = { interior: 5, leaf: 13 } as const;

export const isSqlite = (bytes: Uint8Array): boolean =>
  Buffer.from(bytes.subarray(0, MAGIC.length)).toString("latin1") === MAGIC;

/**
 * Reads all rows of an ordinary table, in the order of their rowids. Time and memory are bounded by the file: every page
 * is used once.
 *
 * @throws {FormatError} `rpmdb.sqlite.…`
 */
export function readSqliteTable(bytes: Uint8Array, table: string): SqliteRow[] {
  const database = new Database(bytes);
  const entry = database.rows(1).find(({ values: [type, name] }) => type === "table" && name === table);
  const root = entry?.values[3];
  if (typeof root !== "number") {
    throw refuse("table-missing", "schema", `a table ${table}`, "none");
  }
  return database.rows(root);
}

class Database {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #pageSize: number;
  /** Bytes of a page that hold something. */
  readonly #usable: number;
  readonly #used = new Set<number>();

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (!isSqlite(bytes) || bytes.length < HEADER.size) {
      throw refuse("header", "header", "SQLite format 3", "another file");
    }
    const stored = this.#view.getUint16(HEADER.pageSize);
    const pageSize = stored === 1 ? 65536 : stored;
    const reserved = bytes[HEADER.reserved] as number;
    const encoding = this.#view.getUint32(HEADER.encoding);
    // 480: format rule (1.3.4). The encoding is 0 while a database is empty.
    if (pageSize < 512 || (pageSize & (pageSize - 1)) !== 0 || pageSize - reserved < 480 || encoding > UTF_8) {
      const found = `${pageSize}, ${reserved} of them reserved, encoding ${encoding}`;
      throw refuse("header", "header", "a page size of 512 to 65536 bytes, UTF-8", found);
    }
    this.#pageSize = pageSize;
    this.#usable = pageSize - reserved;
  }

  rows(root: number): SqliteRow[] {
    this.#used.clear();
    const rows: SqliteRow[] = [];
    const open = [root];
    for (let page = open.pop(); page !== undefined; page = open.pop()) {
      const start = this.#page(page);
      const header = page === 1 ? start + HEADER.size : start;
      const type = this.#bytes[header];
      if (type !== PAGE.interior && type !== PAGE.leaf) {
        throw refuse("page-type", `page ${page}`, "a page of a table (5 or 13)", `${type}`);
      }
      const count = this.#view.getUint16(header + 3);
      const pointers = header + (type === PAGE.interior ? 12 : 8);
      if (pointers + count * 2 > start + this.#usable) {
        throw refuse("page-cells", `page ${page}`, "cells that fit it", `${count} cells`);
      }
      const cells = Array.from({ length: count }, (_, index) => start + this.#view.getUint16(pointers + index * 2));
      if (type === PAGE.leaf) rows.push(...this.#leafRows(page, cells, start + this.#usable));
      else open.push(...this.#children(header, cells, start + this.#usable));
    }
    return rows;
  }

  /** In the order of a stack, which gives back first what was put on it last. */
  #children(header: number, cells: readonly number[], end: number): number[] {
    const left = cells.map((at) => {
      this.#require(at, 4, end);
      return this.#view.getUint32(at);
    });
    return [...left, this.#view.getUint32(header + 8)].reverse();
  }

  #leafRows(page: number, cells: readonly number[], end: number): SqliteRow[] {
    let left = this.#usable;
    return cells.map((at) => {
      const { cellSize, ...row } = this.#row(at, end);
      left -= cellSize;
      // Cells that overlap would let a small file mean any amount of memory.
      if (left < 0) throw refuse("cells-overlap", `page ${page}`, `cells of ${this.#usable} bytes together`, "more");
      return row;
    });
  }

  /** @returns where the page starts */
  #page(page: number): number {
    const start = (page - 1) * this.#pageSize;
    if (page < 1 || start + this.#pageSize > this.#bytes.length) {
      const pages = Math.floor(this.#bytes.length / this.#pageSize);
      throw refuse("page-number", "page number", `1 to ${pages}`, `${page}`);
    }
    if (this.#used.has(page)) throw refuse("page-twice", `page ${page}`, "a page in one place", "one met before");
    this.#used.add(page);
    return start;
  }

  #row(at: number, end: number): SqliteRow & { readonly cellSize: number } {
    const size = this.#varint(at, end);
    const rowid = this.#varint(size.next, end);
    if (size.value > BigInt(this.#bytes.length)) {
      throw refuse("record-size", `record at byte ${at}`, "at most the size of the file", `${size.value}`);
    }
    const { local, payload } = this.#payload(Number(size.value), rowid.next, end);
    const cellSize = rowid.next - at + local;
    return { rowid: BigInt.asIntN(64, rowid.value), values: parseRecord(payload), cellSize };
  }

  /** The first part is on the page, by a rule that leaves room for four cells; the rest in overflow pages (1.6). */
  #payload(size: number, at: number, end: number): { readonly local: number; readonly payload: Uint8Array } {
    const usable = this.#usable;
    if (size <= usable - 35) {
      this.#require(at, size, end);
      return { local: size, payload: this.#bytes.subarray(at, at + size) };
    }
    const least = Math.floor(((usable - 12) * 32) / 255) - 23;
    const wanted = least + ((size - least) % (usable - 4));
    const local = wanted <= usable - 35 ? wanted : least;
    this.#require(at, local + 4, end);
    const parts = [this.#bytes.subarray(at, at + local)];
    let next = this.#view.getUint32(at + local);
    for (let left = size - local; left > 0; ) {
      const start = this.#page(next);
      const part = Math.min(left, usable - 4);
      parts.push(this.#bytes.subarray(start + 4, start + 4 + part));
      left -= part;
      next = this.#view.getUint32(start);
    }
    return { local, payload: Buffer.concat(parts) };
  }

  #varint(at: number, end: number): Varint {
    return readVarint(this.#bytes.subarray(0, end), at);
  }

  #require(at: number, size: number, end: number): void {
    if (at + size > end) throw refuse("cell", `cell at byte ${at}`, `${size} bytes`, `${end - at} left on its page`);
  }
}

interface Varint {
  readonly value: bigint;
  readonly next: number;
}

/** Big-endian, seven bits a byte; the ninth gives all eight. */
function readVarint(bytes: Uint8Array, at: number): Varint {
  let value = 0n;
  for (let index = 0; index < 9; index++) {
    const byte = bytes[at + index];
    if (byte === undefined) throw refuse("varint", `varint at byte ${at}`, "its end", "the end of the data");
    if (index === 8) return { value: (value << 8n) | BigInt(byte), next: at + 9 };
    value = (value << 7n) | BigInt(byte & 0x7f);
    if (byte < 0x80) return { value, next: at + index + 1 };
  }
  return { value, next: at + 9 };
}

/** Bytes of the integers of serial types 1 to 6 (2.1). */
const INTEGER_SIZES = [0, 1, 2, 3, 4, 6, 8] as const;
const FLOAT = 7n;
const ZERO = 8n;
const ONE = 9n;
const FIRST_BLOB = 12n;

function parseRecord(record: Uint8Array): SqliteValue[] {
  const header = readVarint(record, 0);
  const values: SqliteValue[] = [];
  let body = Number(header.value);
  for (let at = header.next; at < header.value; ) {
    const type = readVarint(record, at);
    at = type.next;
    const size = valueSize(type.value);
    if (body + size > record.length) {
      throw refuse("record", "record", `a value of ${size} bytes at byte ${body}`, `${record.length} bytes in all`);
    }
    values.push(parseValue(type.value, record.subarray(body, body + size)));
    body += size;
  }
  return values;
}

function valueSize(type: bigint): number {
  if (type >= FIRST_BLOB) return Number((type - FIRST_BLOB) / 2n);
  if (type === FLOAT) return 8;
  return INTEGER_SIZES[Number(type)] ?? 0;
}

function parseValue(type: bigint, bytes: Uint8Array): SqliteValue {
  if (type >= FIRST_BLOB) return type % 2n === 0n ? bytes : new TextDecoder().decode(bytes);
  if (type === ZERO) return 0;
  if (type === ONE) return 1;
  if (type === 0n) return null;
  if (type === FLOAT) return new DataView(bytes.buffer, bytes.byteOffset).getFloat64(0);
  if (type > ONE) throw refuse("serial-type", "serial type", "one that is not reserved", `${type}`);
  const value = BigInt.asIntN(bytes.length * 8, BigInt(`0x${Buffer.from(bytes).toString("hex")}`));
  return bytes.length > 6 ? value : Number(value);
}

function refuse(thing: string, what: string, expected: string, found: string): FormatError {
  return new FormatError(`rpmdb.sqlite.${thing}`, { what: `RPM database (SQLite): ${what}`, expected, found });
}
