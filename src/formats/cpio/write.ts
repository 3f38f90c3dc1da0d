import { type ByteString, byteString, byteStringToBytes, showByteString } from "../../lib/bytes/byte-string.ts";
import { FormatError } from "../../lib/errors.ts";
import { ALIGNMENT, FIELDS, type Field, HEADER_SIZE, MAGICS, MAX_NAME_SIZE, TRAILER } from "./layout.ts";
import type { CpioEntry } from "./read.ts";

/** What is not given is 0, and 1 for `nlink`; inodes are counted from 1. */
export type CpioInput = Pick<CpioEntry, "path" | "mode"> & Partial<CpioEntry>;

/**
 * Writes an archive in the new ASCII format, trailer included, in the order given.
 *
 * @returns a stream of headers, contents (the given bytes, not copies) and padding; its size is a multiple of 4
 * @throws {FormatError} `cpio.name.size`, `cpio.field` for what its form cannot hold
 */
export function* encodeCpio(entries: Iterable<CpioInput>): Generator<Uint8Array, void, void> {
  let inode = 0;
  for (const entry of entries) {
    inode += 1;
    yield* encodeEntry({ inode, nlink: 1, ...entry });
  }
  // The trailer that systemd-stub, the kernel's gen_init_cpio and GNU cpio write: one link, no inode.
  yield* encodeEntry({ path: byteString(TRAILER), mode: 0, nlink: 1 });
}

const EMPTY = new Uint8Array(0);

function* encodeEntry(entry: CpioInput): Generator<Uint8Array, void, void> {
  const { path, content = EMPTY } = entry;
  const nameSize = path.length + 1;
  if (path.length === 0 || nameSize > MAX_NAME_SIZE || path.includes("\0")) {
    throw new FormatError("cpio.name.size", {
      what: "cpio name",
      expected: `1 to ${MAX_NAME_SIZE - 1} bytes without NUL`,
      found: `${nameSize - 1} bytes: ${showByteString(path.slice(0, 80) as ByteString)}`,
    });
  }
  const numbers: Partial<Record<Field, number>> = { ...entry, nameSize, size: content.length };
  const fields = FIELDS.map((field) => encodeField(field, numbers[field] ?? 0));
  const head = Buffer.alloc(HEADER_SIZE + nameSize + paddingOf(HEADER_SIZE + nameSize));
  head.write(`${MAGICS[0]}${fields.join("")}`, "latin1");
  head.set(byteStringToBytes(path), HEADER_SIZE);
  yield head;
  if (content.length > 0) yield content;
  if (paddingOf(content.length) > 0) yield new Uint8Array(paddingOf(content.length));
}

const paddingOf = (size: number): number => (ALIGNMENT - (size % ALIGNMENT)) % ALIGNMENT;

function encodeField(field: Field, value: number): string {
  if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff) {
    throw new FormatError("cpio.field", {
      what: `cpio header: ${field}`,
      expected: "0 to 2^32 - 1",
      found: `${value}`,
    });
  }
  return value.toString(16).padStart(8, "0");
}
