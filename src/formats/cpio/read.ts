import { type ByteString, bytesToByteString } from "../../lib/bytes/byte-string.ts";
import { alignUp } from "../../lib/bytes/numbers.ts";
import { FormatError, quote } from "../../lib/errors.ts";
import {
  ALIGNMENT,
  FIELD_SIZE,
  FIELDS,
  type Field,
  HEADER_SIZE,
  MAGIC_SIZE,
  MAGICS,
  MAX_ENTRIES,
  MAX_NAME_SIZE,
  TRAILER,
} from "./layout.ts";

export interface CpioEntry {
  /** As stored: relative, or with a leading slash or "./". */
  readonly path: ByteString;
  /** Type and permissions, as in `st_mode`. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly nlink: number;
  /** Seconds since 1970. */
  readonly mtime: number;
  readonly inode: number;
  readonly devMajor: number;
  readonly devMinor: number;
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  /** A view into the archive. Of several links only the last one has it. Of a symbolic link, the target. */
  readonly content: Uint8Array;
}

export interface CpioArchive {
  readonly entries: readonly CpioEntry[];
  /** Where the archive ends, its trailer included. */
  readonly end: number;
}

/**
 * Reads one archive in the new ASCII format.
 *
 * @param start where it starts, a multiple of 4
 * @throws {FormatError} `cpio.truncated`, `cpio.magic`, `cpio.field`, `cpio.name.size`, `cpio.name.end`,
 *   `cpio.entries.count`
 */
export function readCpio(bytes: Uint8Array, start = 0): CpioArchive {
  const entries: CpioEntry[] = [];
  for (let at = start; ; ) {
    const header = readHeader(bytes, at);
    const nameOffset = at + HEADER_SIZE;
    const path = readName(bytes, nameOffset, header.nameSize);
    const contentOffset = alignUp(nameOffset + header.nameSize, ALIGNMENT);
    requireBytes(bytes, contentOffset, header.size, "content");
    const content = bytes.subarray(contentOffset, contentOffset + header.size);
    // The last padding of an archive may be missing at the end of a file.
    const end = Math.min(bytes.length, alignUp(contentOffset + header.size, ALIGNMENT));
    if (path === TRAILER) return { entries, end };
    if (entries.length === MAX_ENTRIES) {
      throw new FormatError("cpio.entries.count", {
        what: "cpio archive: entries",
        offset: at,
        expected: `at most ${MAX_ENTRIES}`,
        found: "more",
      });
    }
    const { nameSize: _, size: __, check: ___, ...numbers } = header;
    entries.push({ path, ...numbers, content });
    at = end;
  }
}

/** Whether an archive in this format starts here. */
export function isCpio(bytes: Uint8Array, offset = 0): boolean {
  return MAGICS.includes(ascii(bytes, offset, MAGIC_SIZE));
}

function readHeader(bytes: Uint8Array, offset: number): Record<Field, number> {
  requireBytes(bytes, offset, HEADER_SIZE, "header");
  if (!isCpio(bytes, offset)) {
    throw new FormatError("cpio.magic", {
      what: "cpio header: magic",
      offset,
      expected: MAGICS.join(" or "),
      found: quote(ascii(bytes, offset, MAGIC_SIZE)),
    });
  }
  const values = FIELDS.map((field, index) => {
    const at = offset + MAGIC_SIZE + index * FIELD_SIZE;
    const digits = ascii(bytes, at, FIELD_SIZE);
    if (!/^[0-9a-f]{8}$/i.test(digits)) {
      throw new FormatError("cpio.field", {
        what: `cpio header: ${field}`,
        offset: at,
        expected: "8 hex digits",
        found: quote(digits),
      });
    }
    return [field, Number.parseInt(digits, 16)] as const;
  });
  return Object.fromEntries(values) as Record<Field, number>;
}

function readName(bytes: Uint8Array, offset: number, size: number): ByteString {
  if (size < 2 || size > MAX_NAME_SIZE) {
    throw new FormatError("cpio.name.size", {
      what: "cpio name: size with its NUL",
      offset,
      expected: `2 to ${MAX_NAME_SIZE}`,
      found: `${size}`,
    });
  }
  requireBytes(bytes, offset, size, "name");
  const name = bytes.subarray(offset, offset + size);
  if (name.indexOf(0) !== size - 1) {
    throw new FormatError("cpio.name.end", {
      what: "cpio name",
      offset,
      expected: `its only NUL at byte ${size - 1}`,
      found: name.includes(0) ? `one at byte ${name.indexOf(0)}` : "none",
    });
  }
  return bytesToByteString(name.subarray(0, size - 1));
}

function ascii(bytes: Uint8Array, offset: number, size: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1", offset, offset + size);
}

function requireBytes(bytes: Uint8Array, offset: number, size: number, what: string): void {
  if (offset + size > bytes.length) {
    throw new FormatError("cpio.truncated", {
      what: `cpio ${what}`,
      offset,
      expected: `${size} bytes`,
      found: `${Math.max(0, bytes.length - offset)} left`,
    });
  }
}
