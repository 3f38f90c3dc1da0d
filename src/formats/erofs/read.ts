/** Reads EROFS images: those of composefs, and plain ones of mkfs.erofs. */
import { alignUp } from "../../lib/bytes/numbers.ts";
import { ImageBytes } from "./image-bytes.ts";
import { MODE_TYPE, MODE_TYPE_MASK, XATTR_BODY, XATTR_BODY_SIZE } from "./layout.ts";
import { type DirectoryEntry, readDirectoryBlock } from "./read-directory.ts";
import { readExtents } from "./read-extents.ts";
import { readInode, type StoredInode } from "./read-inode.ts";
import { type ErofsSuperblock, parseComposefsVersion, parseSuperblock } from "./read-superblock.ts";
import { readXattr, type StoredXattr } from "./read-xattr.ts";
import { refuse } from "./refuse.ts";
import type { ComposefsVersion } from "./rules.ts";

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
  readonly #image: ImageBytes;
  readonly #sharedXattrs = new Map<number, StoredXattr>();

  constructor(bytes: Uint8Array) {
    this.size = bytes.length;
    this.#image = new ImageBytes(bytes);
    this.superblock = parseSuperblock(bytes);
    this.composefsVersion = parseComposefsVersion(bytes);
  }

  /**
   * @throws {FormatError} `erofs.truncated`, `erofs.inode.*`
   * @throws {UnsupportedError} `erofs.layout.compressed`, `erofs.inode.format`
   */
  inode(nid: number): StoredInode {
    return readInode(this.#image, this.superblock, nid);
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
    for (const [at, size] of readExtents(this.#image, this.superblock.blockSize, directory, this.size)) {
      if (at === undefined) throw refuse("erofs.directory.hole", "directory", undefined, "blocks", "a hole");
      const { blockSize } = this.superblock;
      for (let block = 0; block < size; block += blockSize) {
        readDirectoryBlock(this.#image, at + block, Math.min(blockSize, size - block), entries);
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
    const sharedCount = this.#image.get(xattrsAt, XATTR_BODY.sharedCount);
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
      const shared = xattrBlock * blockSize + 4 * this.#image.view.getUint32(at, true);
      let xattr = this.#sharedXattrs.get(shared);
      if (xattr === undefined) {
        xattr = readXattr(this.#image, shared, this.size).xattr;
        this.#sharedXattrs.set(shared, xattr);
      }
      xattrs.push(xattr);
    }
    while (at < tailAt) {
      const { xattr, end } = readXattr(this.#image, at, tailAt);
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
    const extents = readExtents(this.#image, this.superblock.blockSize, inode, limit);
    const [only] = extents;
    if (only === undefined) return new Uint8Array(0);
    if (extents.length === 1 && only[0] !== undefined) return this.#image.bytes.subarray(only[0], only[0] + only[1]);
    const content = new Uint8Array(Number(inode.size));
    let done = 0;
    for (const [at, size] of extents) {
      if (at !== undefined) content.set(this.#image.bytes.subarray(at, at + size), done);
      done += size;
    }
    return content;
  }
}
