/** Reads EROFS images: those of composefs, and plain ones of mkfs.erofs. */
import type { ByteString } from "../../lib/bytes/byte-string.ts";
import { type Field, getField, viewOf } from "../../lib/bytes/field.ts";
import { alignUp } from "../../lib/bytes/numbers.ts";
import { UnsupportedError } from "../../lib/errors.ts";
import { NAME_MAX } from "./directory.ts";
import {
  CHUNK_FORMAT,
  COMPACT_INODE,
  COMPACT_INODE_SIZE,
  DIRENT,
  DIRENT_SIZE,
  DIRENT_TYPE,
  EXTENDED_INODE,
  EXTENDED_INODE_SIZE,
  INODE_EXTENDED,
  INODE_LAYOUT,
  MODE_TYPE,
  MODE_TYPE_MASK,
  NULL_ADDRESS,
  SLOT_SIZE,
  XATTR_BODY,
  XATTR_BODY_SIZE,
  XATTR_ENTRY,
  XATTR_ENTRY_SIZE,
  XATTR_LONG_PREFIX,
  XATTR_PREFIXES,
} from "./layout.ts";
import { type ErofsSuperblock, parseComposefsVersion, parseSuperblock } from "./read-superblock.ts";
import { refuse, showHex } from "./refuse.ts";
import type { ComposefsVersion } from "./rules.ts";

/** An inode as stored. */
export interface StoredInode {
  readonly nid: number;
  /** With type bits, one of `MODE_TYPE`. */
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeSec: bigint;
  readonly mtimeNsec: number;
  readonly size: bigint;
  readonly layout: "flat-plain" | "flat-inline" | "chunk-based";
  /** Block number, chunk format or device number. */
  readonly union: number;
  readonly ino: number;
  /** Offsets in the image: of the xattrs, and of what follows them. */
  readonly xattrsAt: number;
  readonly tailAt: number;
}

export interface DirectoryEntry {
  readonly name: ByteString;
  readonly nid: number;
  /** `DIRENT_TYPE` of the mode of the inode; 0 is unknown. */
  readonly fileType: number;
}

export interface StoredXattr {
  readonly name: ByteString;
  readonly value: ByteString;
}

/** Safety limit for contents that are returned as one array; holes need no bytes in the image. */
const CONTENT_MAX = 1 << 28;
/**
 * Opens an image. Nothing is read but the superblock: each method reads, and refuses, what it is asked for.
 *
 * @param bytes the whole image; results of `content` may be views into it
 * @throws {FormatError} `erofs.superblock.*`, `erofs.truncated`
 * @throws {UnsupportedError} `erofs.feature`
 */
export function openErofs(bytes: Uint8Array): ErofsImage {
  return new ErofsImage(bytes);
}

export class ErofsImage {
  readonly superblock: ErofsSuperblock;
  /** undefined when the image has no composefs header. */
  readonly composefsVersion: ComposefsVersion | undefined;
  readonly size: number;
  readonly #bytes: Buffer;
  readonly #view: DataView;
  readonly #sharedXattrs = new Map<number, StoredXattr>();

  constructor(bytes: Uint8Array) {
    this.size = bytes.length;
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#view = viewOf(bytes);
    this.superblock = parseSuperblock(bytes);
    this.composefsVersion = parseComposefsVersion(bytes);
  }

  /**
   * @throws {FormatError} `erofs.truncated`, `erofs.inode.*`
   * @throws {UnsupportedError} `erofs.layout.compressed`, `erofs.inode.format`
   */
  inode(nid: number): StoredInode {
    const at = this.superblock.metaBlock * this.superblock.blockSize + nid * SLOT_SIZE;
    this.#require(at, COMPACT_INODE_SIZE, "inode");
    const format = this.#get(at, COMPACT_INODE.format);
    const layout = layoutOf(format, at);
    const extended = (format & INODE_EXTENDED) !== 0;
    const headerSize = extended ? EXTENDED_INODE_SIZE : COMPACT_INODE_SIZE;
    this.#require(at, headerSize, "inode");
    const mode = this.#get(at, COMPACT_INODE.mode);
    if (DIRENT_TYPE[mode >> 12] === 0) {
      throw refuse("erofs.inode.mode", "inode: mode", at, "the type bits of a file kind", `0${mode.toString(8)}`);
    }
    const count = this.#get(at, COMPACT_INODE.xattrCount);
    const xattrsAt = at + headerSize;
    const tailAt = xattrsAt + (count === 0 ? 0 : XATTR_BODY_SIZE + (count - 1) * XATTR_ENTRY_SIZE);
    this.#require(xattrsAt, tailAt - xattrsAt, "inode: xattrs");
    return { nid, mode, layout, xattrsAt, tailAt, ...(extended ? this.#extended(at) : this.#compact(at)) };
  }

  /**
   * The entries of a directory in stored order, `.` and `..` included.
   *
   * @throws {FormatError} `erofs.directory.*`, `erofs.truncated`
   */
  entries(directory: StoredInode): DirectoryEntry[] {
    if ((directory.mode & MODE_TYPE_MASK) !== MODE_TYPE.directory) {
      throw refuse(
        "erofs.directory.mode",
        "inode",
        directory.xattrsAt,
        "a directory",
        `mode 0${directory.mode.toString(8)}`,
      );
    }
    const entries: DirectoryEntry[] = [];
    for (const [at, size] of this.#extents(directory, this.size)) {
      if (at === undefined) throw refuse("erofs.directory.hole", "directory", undefined, "blocks", "a hole");
      const { blockSize } = this.superblock;
      for (let block = 0; block < size; block += blockSize) {
        this.#directoryBlock(at + block, Math.min(blockSize, size - block), entries);
      }
    }
    return entries;
  }

  /**
   * Shared ones first, each with its full name. A name may occur twice.
   *
   * @throws {FormatError} `erofs.xattr.*`, `erofs.truncated`
   * @throws {UnsupportedError} `erofs.xattr.long-prefix`
   */
  xattrs({ xattrsAt, tailAt }: StoredInode): StoredXattr[] {
    if (xattrsAt === tailAt) return [];
    const xattrs: StoredXattr[] = [];
    const { xattrBlock, blockSize } = this.superblock;
    const sharedCount = this.#get(xattrsAt, XATTR_BODY.sharedCount);
    let at = xattrsAt + XATTR_BODY_SIZE;
    if (at + 4 * sharedCount > tailAt) {
      const room = (tailAt - at) / 4;
      throw refuse(
        "erofs.xattr.shared-count",
        "xattrs: shared count",
        xattrsAt,
        `at most ${room}`,
        String(sharedCount),
      );
    }
    for (let index = 0; index < sharedCount; index++, at += 4) {
      const shared = xattrBlock * blockSize + 4 * this.#view.getUint32(at, true);
      let xattr = this.#sharedXattrs.get(shared);
      if (xattr === undefined) {
        xattr = this.#xattr(shared, this.size).xattr;
        this.#sharedXattrs.set(shared, xattr);
      }
      xattrs.push(xattr);
    }
    while (at < tailAt) {
      const { xattr, end } = this.#xattr(at, tailAt);
      xattrs.push(xattr);
      at = alignUp(end, 4);
    }
    return xattrs;
  }

  /**
   * The bytes of a file, a link target or a directory; holes are zeros.
   *
   * @param limit safety limit in bytes
   * @returns a view into the image where the content is in one piece
   * @throws {FormatError} `erofs.content.too-large`, `erofs.truncated`
   */
  content(inode: StoredInode, limit: number = CONTENT_MAX): Uint8Array {
    const extents = this.#extents(inode, limit);
    const [only] = extents;
    if (only === undefined) return new Uint8Array(0);
    if (extents.length === 1 && only[0] !== undefined) return this.#bytes.subarray(only[0], only[0] + only[1]);
    const content = new Uint8Array(Number(inode.size));
    let done = 0;
    for (const [at, size] of extents) {
      if (at !== undefined) content.set(this.#bytes.subarray(at, at + size), done);
      done += size;
    }
    return content;
  }

  #compact(at: number): InodeNumbers {
    const { buildTime, buildTimeNsec } = this.superblock;
    return {
      nlink: this.#get(at, COMPACT_INODE.nlink),
      size: BigInt(this.#get(at, COMPACT_INODE.size)),
      union: this.#get(at, COMPACT_INODE.union),
      ino: this.#get(at, COMPACT_INODE.ino),
      uid: this.#get(at, COMPACT_INODE.uid),
      gid: this.#get(at, COMPACT_INODE.gid),
      mtimeSec: buildTime,
      mtimeNsec: buildTimeNsec,
    };
  }

  #extended(at: number): InodeNumbers {
    return {
      nlink: this.#get(at, EXTENDED_INODE.nlink),
      size: this.#view.getBigUint64(at + EXTENDED_INODE.size[0], true),
      union: this.#get(at, EXTENDED_INODE.union),
      ino: this.#get(at, EXTENDED_INODE.ino),
      uid: this.#get(at, EXTENDED_INODE.uid),
      gid: this.#get(at, EXTENDED_INODE.gid),
      mtimeSec: this.#view.getBigInt64(at + EXTENDED_INODE.mtimeSec[0], true),
      mtimeNsec: this.#get(at, EXTENDED_INODE.mtimeNsec),
    };
  }

  /** Where the content is: offset and size of each run; no offset is a hole. All of them lie in the image. */
  #extents(inode: StoredInode, limit: number): readonly Extent[] {
    if (inode.size > BigInt(limit)) {
      throw refuse(
        "erofs.content.too-large",
        `inode ${inode.nid}: size`,
        undefined,
        `at most ${limit}`,
        String(inode.size),
      );
    }
    const size = Number(inode.size);
    const { blockSize } = this.superblock;
    if (size === 0) return [];
    switch (inode.layout) {
      case "flat-plain":
        return [this.#extent(inode.union * blockSize, size)];
      case "flat-inline": {
        const inBlocks = (Math.ceil(size / blockSize) - 1) * blockSize;
        const tail = this.#extent(inode.tailAt, size - inBlocks);
        return inBlocks === 0 ? [tail] : [this.#extent(inode.union * blockSize, inBlocks), tail];
      }
      case "chunk-based":
        return this.#chunks(inode, size);
      default:
        return inode.layout satisfies never;
    }
  }

  #chunks({ union, tailAt }: StoredInode, size: number): Extent[] {
    const { blockSize } = this.superblock;
    const chunkSize = blockSize * 2 ** (union & CHUNK_FORMAT.bitsMask);
    const indexed = (union & CHUNK_FORMAT.indexes) !== 0;
    const entrySize = indexed ? 8 : 4;
    const count = Math.ceil(size / chunkSize);
    const base = alignUp(tailAt, entrySize);
    this.#require(base, count * entrySize, "chunk addresses");
    const extents: Extent[] = [];
    for (let index = 0; index < count; index++) {
      // struct erofs_inode_chunk_index: advise, device id, block; or the block alone.
      const at = base + index * entrySize;
      const block = this.#view.getUint32(at + entrySize - 4, true);
      const length = Math.min(chunkSize, size - index * chunkSize);
      if (indexed && this.#view.getUint16(at + 2, true) !== 0) {
        throw new UnsupportedError("erofs.feature", "EROFS chunk on an extra device: only one device is read");
      }
      extents.push(block === NULL_ADDRESS ? [undefined, length] : this.#extent(block * blockSize, length));
    }
    return extents;
  }

  #extent(at: number, size: number): Extent {
    this.#require(at, size, "content");
    return [at, size];
  }

  #directoryBlock(at: number, size: number, entries: DirectoryEntry[]): void {
    const namesAt = size < DIRENT_SIZE ? 0 : this.#get(at, DIRENT.nameOffset);
    if (namesAt < DIRENT_SIZE || namesAt % DIRENT_SIZE !== 0 || namesAt > size) {
      const expected = `a multiple of ${DIRENT_SIZE} up to ${size}`;
      throw refuse("erofs.directory.name-offset", "directory: first name offset", at, expected, String(namesAt));
    }
    let nameAt = namesAt;
    for (let entry = at; entry < at + namesAt; entry += DIRENT_SIZE) {
      const isLast = entry + DIRENT_SIZE === at + namesAt;
      const end = isLast
        ? this.#lastNameEnd(at + nameAt, at + size) - at
        : this.#get(entry + DIRENT_SIZE, DIRENT.nameOffset);
      if (end <= nameAt || end > size || end - nameAt > NAME_MAX) {
        throw refuse("erofs.directory.name-offset", "directory: end of a name", entry, `up to ${size}`, String(end));
      }
      const name = this.#bytes.toString("latin1", at + nameAt, at + end) as ByteString;
      const before = entries.at(-1);
      if (name.includes("/") || name.includes("\0")) {
        throw refuse("erofs.directory.name", "directory: name", at + nameAt, "no / and no NUL in it", "one");
      }
      // Lookup is a binary search, so an entry out of order would be there for some readers only.
      if (before !== undefined && before.name >= name) {
        throw refuse(
          "erofs.directory.order",
          "directory: name",
          at + nameAt,
          "names in ascending byte order",
          "another order",
        );
      }
      const nid = this.#get(entry, DIRENT.nid);
      entries.push({ name, nid, fileType: this.#get(entry, DIRENT.fileType) });
      nameAt = end;
    }
  }

  /** The last name of a block ends with the block or with a NUL. */
  #lastNameEnd(at: number, end: number): number {
    const nul = this.#bytes.indexOf(0, at);
    return nul === -1 || nul > end ? end : nul;
  }

  #xattr(at: number, end: number): { readonly xattr: StoredXattr; readonly end: number } {
    this.#require(at, XATTR_ENTRY_SIZE, "xattr entry", end);
    const nameLength = this.#get(at, XATTR_ENTRY.nameLength);
    const index = this.#get(at, XATTR_ENTRY.nameIndex);
    const valueSize = this.#get(at, XATTR_ENTRY.valueSize);
    if ((index & XATTR_LONG_PREFIX) !== 0) {
      throw new UnsupportedError(
        "erofs.xattr.long-prefix",
        "EROFS xattr with a long name prefix: only the built-in ones are read",
      );
    }
    const prefix = XATTR_PREFIXES[index];
    const nameAt = at + XATTR_ENTRY_SIZE;
    this.#require(nameAt, nameLength + valueSize, "xattr entry", end);
    if (prefix === undefined || prefix.length + nameLength === 0) {
      throw refuse("erofs.xattr.name", "xattr entry: name index", at + 1, "0 to 6, with a name", String(index));
    }
    const valueAt = nameAt + nameLength;
    const name = (prefix + this.#bytes.toString("latin1", nameAt, valueAt)) as ByteString;
    const value = this.#bytes.toString("latin1", valueAt, valueAt + valueSize) as ByteString;
    return { xattr: { name, value }, end: valueAt + valueSize };
  }

  #require(at: number, size: number, what: string, end: number = this.size): void {
    if (at >= 0 && at + size <= end) return;
    throw refuse("erofs.truncated", what, at, `${size} bytes`, `${Math.max(0, end - at)} left`);
  }

  /** 64-bit values above 2^53 are rounded: as a nid or an offset they are outside of any image. */
  #get(at: number, [offset, size]: Field): number {
    return getField(this.#view, [at + offset, size]);
  }
}

type InodeNumbers = Pick<StoredInode, "nlink" | "size" | "union" | "ino" | "uid" | "gid" | "mtimeSec" | "mtimeNsec">;

type Extent = readonly [at: number | undefined, size: number];

function layoutOf(format: number, at: number): StoredInode["layout"] {
  if (format >> 4 !== 0) {
    throw new UnsupportedError(
      "erofs.inode.format",
      `EROFS inode at byte ${at}: format ${showHex(format)} is not read`,
    );
  }
  switch (format >> 1) {
    case INODE_LAYOUT.flatPlain:
      return "flat-plain";
    case INODE_LAYOUT.flatInline:
      return "flat-inline";
    case INODE_LAYOUT.chunkBased:
      return "chunk-based";
    case INODE_LAYOUT.compressedFull:
    case INODE_LAYOUT.compressedCompact:
      throw new UnsupportedError(
        "erofs.layout.compressed",
        `EROFS inode at byte ${at}: compressed content is not read`,
      );
    default:
      throw refuse("erofs.inode.layout", "inode: data layout", at, "0 to 4", String(format >> 1));
  }
}
