import { type ByteString, bytesToByteString } from "../../lib/bytes/byte-string.ts";
import { alignUp } from "../../lib/bytes/numbers.ts";
import { FormatError } from "../../lib/errors.ts";
import type { TarEntry } from "./entry.ts";
import {
  contentSize,
  isZeroBlock,
  parseEntry,
  TAR_HEADER,
  type TarExtensions,
  tarFlavour,
  tarType,
  verifyChecksum,
} from "./header.ts";
import { TAR_BLOCK_SIZE, TAR_EXTENSION, TAR_EXTENSION_SIZE_MAX, TAR_GLOBAL_TYPE, type TarExtension } from "./layout.ts";
import { parsePax } from "./pax.ts";

/** Bytes of the archive that the reader must see next. */
export interface TarNeed {
  readonly offset: number;
  /** At most `TAR_EXTENSION_SIZE_MAX`. */
  readonly size: number;
}

export interface TarItem {
  readonly entry: TarEntry;
  /** Of the content, in the archive; `entry.size` bytes when it is a file. */
  readonly offset: number;
}

/**
 * Decodes an archive without holding or fetching it: it says which bytes it needs, is given them, and answers with an
 * entry now and then. What lies between two needs is content, which the caller reads, hashes or jumps over.
 *
 * @example
 * const reader = new TarReader();
 * while (reader.need !== undefined && reader.need.offset < archive.length) {
 *   const { offset, size } = reader.need;
 *   const item = reader.take(archive.subarray(offset, offset + size));
 * }
 * reader.end(archive.length);
 */
export class TarReader {
  #need: TarNeed | undefined = { offset: 0, size: TAR_BLOCK_SIZE };
  #extensions: TarExtensions = {};
  #extensionSize = 0;
  /** The extension whose content is needed next. */
  #pending: TarExtension | undefined;
  #sawZeroBlock = false;
  /** An archive may just stop after content or a global header, not after an entry without content: composefs-rs reads it so. */
  #mayStop = true;

  /** `undefined` after the end of the archive; bytes that follow mean nothing. */
  get need(): TarNeed | undefined {
    return this.#need;
  }

  /**
   * @param bytes exactly those of `need`; not kept
   * @throws {FormatError} with a code of `tar.*` for what does not follow the format
   * @throws {UnsupportedError} `tar.entry.type-unsupported`, `tar.sparse.unsupported`
   */
  take(bytes: Uint8Array): TarItem | undefined {
    const need = this.#need;
    if (need === undefined || bytes.length !== need.size) {
      throw new RangeError(`the tar reader was given ${bytes.length} bytes and needs ${need?.size ?? 0}`);
    }
    if (this.#pending !== undefined) return this.#takeExtension(bytes, need, this.#pending);
    if (isZeroBlock(bytes)) return this.#takeZeroBlock(need);
    if (this.#sawZeroBlock) {
      throw new FormatError("tar.archive.lone-zero-block", {
        what: TAR_HEADER,
        offset: need.offset,
        expected: "the second zero block of the end",
        found: "data",
      });
    }
    return this.#takeHeader(bytes, need.offset);
  }

  /**
   * Says that the archive has no more bytes.
   *
   * @param size bytes in the archive
   * @throws {FormatError} `tar.archive.truncated` when it stops inside an entry or before the end blocks
   */
  end(size: number): void {
    if (this.#need === undefined) return;
    const { offset } = this.#need;
    if (offset === size && this.#mayStop) return;
    const content = offset > size;
    throw new FormatError("tar.archive.truncated", {
      what: content ? "tar content" : TAR_HEADER,
      offset: size,
      expected: content ? `bytes up to ${offset}` : "a header or two zero blocks",
      found: "the end",
    });
  }

  #takeHeader(block: Uint8Array, offset: number): TarItem | undefined {
    verifyChecksum(block, offset);
    const after = offset + TAR_BLOCK_SIZE;
    const type = tarType(block);
    if (type === TAR_GLOBAL_TYPE) {
      this.#skipGlobal(contentSize(block, offset), offset);
      return undefined;
    }
    if (Object.hasOwn(TAR_EXTENSION, type) && tarFlavour(block) !== "v7") {
      this.#openExtension(TAR_EXTENSION[type as keyof typeof TAR_EXTENSION], contentSize(block, offset), offset);
      return undefined;
    }
    const entry = parseEntry(block, this.#extensions, offset);
    const size = entry.kind === "file" ? entry.size : 0;
    this.#extensions = {};
    this.#extensionSize = 0;
    this.#mayStop = size > 0;
    this.#next(after, size, { what: TAR_HEADER, offset });
    return { entry, offset: after };
  }

  #takeZeroBlock({ offset }: TarNeed): undefined {
    if (Object.keys(this.#extensions).length > 0) {
      throw new FormatError("tar.extension.orphaned", {
        what: TAR_HEADER,
        offset,
        expected: "the entry that the headers before are about",
        found: "a zero block",
      });
    }
    this.#mayStop = false;
    if (this.#sawZeroBlock) this.#need = undefined;
    else this.#need = { offset: offset + TAR_BLOCK_SIZE, size: TAR_BLOCK_SIZE };
    this.#sawZeroBlock = true;
  }

  /** POSIX wants these applied to all that follows; composefs-rs passes over them, and so its digests say. */
  #skipGlobal(size: number, offset: number): void {
    if (Object.keys(this.#extensions).length > 0) {
      throw new FormatError("tar.extension.orphaned", {
        what: TAR_HEADER,
        offset,
        expected: "the entry that the headers before are about",
        found: "a global header",
      });
    }
    checkExtensionSize(size, offset);
    this.#mayStop = true;
    this.#next(offset + TAR_BLOCK_SIZE, size, { what: TAR_HEADER, offset });
  }

  #openExtension(kind: TarExtension, size: number, offset: number): void {
    if (this.#extensions[kind] !== undefined) {
      throw new FormatError("tar.extension.duplicate", {
        what: TAR_HEADER,
        offset,
        expected: "one header of each kind before an entry",
        found: `a second ${kind === "pax" ? "PAX header" : kind}`,
      });
    }
    this.#extensionSize += size;
    checkExtensionSize(this.#extensionSize, offset);
    this.#mayStop = false;
    this.#pending = kind;
    this.#need = { offset: offset + TAR_BLOCK_SIZE, size };
    if (size === 0) this.#takeExtension(new Uint8Array(), this.#need, kind);
  }

  #takeExtension(data: Uint8Array, { offset, size }: TarNeed, kind: TarExtension): undefined {
    if (kind === "pax") this.#extensions.pax = parsePax(data, offset);
    else this.#extensions[kind] = withoutLastNul(bytesToByteString(data));
    this.#pending = undefined;
    this.#next(offset, size, { what: TAR_HEADER, offset });
  }

  /** Needs the header after `size` bytes of content at `offset`. */
  #next(offset: number, size: number, place: { what: string; offset: number }): void {
    const next = offset + alignUp(size, TAR_BLOCK_SIZE);
    if (next > Number.MAX_SAFE_INTEGER) {
      throw new FormatError("tar.number.too-large", {
        ...place,
        expected: "an archive below 2^53 bytes",
        found: `${size} bytes of content`,
      });
    }
    this.#need = { offset: next, size: TAR_BLOCK_SIZE };
  }
}

function checkExtensionSize(size: number, offset: number): void {
  if (size <= TAR_EXTENSION_SIZE_MAX) return;
  throw new FormatError("tar.extension.too-large", {
    what: TAR_HEADER,
    offset,
    expected: `at most ${TAR_EXTENSION_SIZE_MAX} bytes before one entry`,
    found: String(size),
  });
}

function withoutLastNul(text: ByteString): ByteString {
  return text.endsWith("\0") ? (text.slice(0, -1) as ByteString) : text;
}
