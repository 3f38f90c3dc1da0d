import { FormatError } from "../errors.ts";

/** Bytes read by position: a disk image, a partition in it, the contents behind a disk format. */
export interface ByteSource {
  readonly size: number;
  /** @returns exactly `size` bytes; asked only for ranges inside the source, see `readRange` */
  read(offset: number, size: number): Uint8Array;
}

export function memorySource(bytes: Uint8Array): ByteSource {
  return { size: bytes.length, read: (offset, size) => bytes.subarray(offset, offset + size) };
}

/** A window of a source. The caller has checked that the window lies inside. */
export function windowSource(source: ByteSource, offset: number, size: number): ByteSource {
  return { size, read: (at, length) => source.read(offset + at, length) };
}

/** @throws {FormatError} with `code` when the range is not inside the source */
export function readRange(source: ByteSource, offset: number, size: number, what: string, code: string): Uint8Array {
  if (!(offset >= 0 && size >= 0 && offset + size <= source.size)) {
    throw new FormatError(code, {
      what,
      offset,
      expected: `${size} bytes`,
      found: `${Math.max(0, source.size - offset)} left`,
    });
  }
  return source.read(offset, size);
}
