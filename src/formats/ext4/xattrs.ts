/**
 * Extended attributes: behind the inode's fields first, the rest in one block.
 *
 *     inode   magic | entry, entry, ... 0 | free | value, value
 *     block   header | entry, entry, ... 0 | free | value, value     sorted by index, length, name
 *
 * @see Linux Documentation/filesystems/ext4/attributes.rst
 */
import { type ByteString, byteStringToBytes, compareByteStrings, showByteString } from "../../lib/bytes/byte-string.ts";
import { setField, viewOf } from "../../lib/bytes/field.ts";
import { FormatError, quote } from "../../lib/errors.ts";
import { toDiskAcl } from "./acl.ts";
import { xattrBlockChecksum } from "./checksums.ts";
import {
  BLOCK_SIZE,
  EXTRA_ISIZE,
  INODE_SIZE,
  XATTR_BLOCK,
  XATTR_BLOCK_HEADER_SIZE,
  XATTR_ENTRY,
  XATTR_ENTRY_SIZE,
  XATTR_MAGIC,
  XATTR_PREFIXES,
} from "./layout.ts";

/** An attribute as stored: the prefix of its name is a number. */
interface StoredXattr {
  readonly index: number;
  readonly name: ByteString;
  readonly value: Uint8Array;
}

/** Attributes of one inode, divided over the two places. */
export interface XattrLayout {
  readonly inInode: readonly StoredXattr[];
  /** Empty when no block is needed. */
  readonly inBlock: readonly StoredXattr[];
}

/** Bytes for entries and values: the inode's after its fields and the magic, the block's after its header. */
const INODE_XATTRS_AT = 128 + EXTRA_ISIZE;
const INODE_ROOM = INODE_SIZE - INODE_XATTRS_AT - 4;
const BLOCK_ROOM = BLOCK_SIZE - XATTR_BLOCK_HEADER_SIZE;
/** Entries end with four zero bytes. */
const END_MARK = 4;

const aligned = (size: number): number => (size + 3) & ~3;
const storedSize = ({ name, value }: StoredXattr): number =>
  XATTR_ENTRY_SIZE + aligned(name.length) + aligned(value.length);

const NOTHING: XattrLayout = { inInode: [], inBlock: [] };

/** @throws {FormatError} `ext4.xattr-name`, `ext4.xattrs-too-large`, `ext4.acl` */
export function layoutXattrs(xattrs: ReadonlyMap<ByteString, ByteString>): XattrLayout {
  if (xattrs.size === 0) return NOTHING;
  const inInode: StoredXattr[] = [];
  const inBlock: StoredXattr[] = [];
  let inodeRoom = INODE_ROOM - END_MARK;
  let blockRoom = BLOCK_ROOM - END_MARK;
  for (const xattr of [...xattrs].map(([name, value]) => toStored(name, value)).sort(compareStored)) {
    const size = storedSize(xattr);
    if (size <= inodeRoom) {
      inInode.push(xattr);
      inodeRoom -= size;
    } else {
      inBlock.push(xattr);
      blockRoom -= size;
    }
  }
  if (blockRoom < 0) {
    throw new FormatError("ext4.xattrs-too-large", {
      what: "ext4 extended attributes of one inode",
      expected: `at most ${BLOCK_ROOM - END_MARK} bytes beside those in the inode`,
      found: String(BLOCK_ROOM - END_MARK - blockRoom),
    });
  }
  return { inInode, inBlock };
}

function toStored(name: ByteString, value: ByteString): StoredXattr {
  const prefix = XATTR_PREFIXES.find(([, text]) => (text.endsWith(".") ? name.startsWith(text) : name === text));
  const suffix = name.slice(prefix?.[1].length) as ByteString;
  if (prefix === undefined || suffix.length > 255 || (suffix === "" && prefix[1].endsWith("."))) {
    throw new FormatError("ext4.xattr-name", {
      what: "ext4 extended attribute name",
      expected: "user., trusted. or security. and a name, or a POSIX ACL",
      found: quote(showByteString(name)),
    });
  }
  const isAcl = suffix === "";
  return { index: prefix[0], name: suffix, value: byteStringToBytes(isAcl ? toDiskAcl(value) : value) };
}

/** The order that the kernel searches a block in. */
function compareStored(a: StoredXattr, b: StoredXattr): number {
  return a.index - b.index || a.name.length - b.name.length || compareByteStrings(a.name, b.name);
}

/** Writes attributes behind the fields of an encoded inode; nothing when there are none. */
export function putInodeXattrs(inode: Uint8Array, xattrs: readonly StoredXattr[]): void {
  if (xattrs.length === 0) return;
  viewOf(inode).setUint32(INODE_XATTRS_AT, XATTR_MAGIC, true);
  // Values are placed from the first entry on, which follows the magic.
  putEntries(inode.subarray(INODE_XATTRS_AT + 4), 0, xattrs);
}

/**
 * @param seed checksum seed of the file system
 * @param place block number, part of the checksum
 */
export function encodeXattrBlock(xattrs: readonly StoredXattr[], seed: number, place: number): Uint8Array {
  const block = new Uint8Array(BLOCK_SIZE);
  const hashes = putEntries(block, XATTR_BLOCK_HEADER_SIZE, xattrs);
  const view = viewOf(block);
  setField(view, XATTR_BLOCK.magic, XATTR_MAGIC);
  setField(view, XATTR_BLOCK.references, 1);
  setField(view, XATTR_BLOCK.blocks, 1);
  setField(view, XATTR_BLOCK.hash, hashes.reduce((hash, entry) => rotate(hash, 16) ^ entry, 0) >>> 0);
  setField(view, XATTR_BLOCK.checksum, xattrBlockChecksum(seed, place, block));
  return block;
}

/** Entries from `at` upwards, values from the end of `area` downwards. @returns the hash of every entry */
function putEntries(area: Uint8Array, at: number, xattrs: readonly StoredXattr[]): number[] {
  let entryAt = at;
  let valueAt = area.length;
  return xattrs.map((xattr) => {
    const { index, name, value } = xattr;
    valueAt -= aligned(value.length);
    area.set(value, valueAt);
    const view = viewOf(area.subarray(entryAt));
    const hash = entryHash(xattr);
    setField(view, XATTR_ENTRY.nameLength, name.length);
    setField(view, XATTR_ENTRY.nameIndex, index);
    setField(view, XATTR_ENTRY.valueOffset, value.length === 0 ? 0 : valueAt);
    setField(view, XATTR_ENTRY.valueSize, value.length);
    setField(view, XATTR_ENTRY.hash, hash);
    area.set(byteStringToBytes(name), entryAt + XATTR_ENTRY_SIZE);
    entryAt += XATTR_ENTRY_SIZE + aligned(name.length);
    return hash;
  });
}

/** e_hash: the bytes of the name, then the zero-padded words of the value. */
function entryHash({ name, value }: StoredXattr): number {
  let hash = 0;
  for (const byte of byteStringToBytes(name)) hash = rotate(hash, 5) ^ byte;
  const padded = new Uint8Array(aligned(value.length));
  padded.set(value);
  const view = viewOf(padded);
  for (let at = 0; at < padded.length; at += 4) hash = rotate(hash, 16) ^ view.getUint32(at, true);
  return hash >>> 0;
}

const rotate = (value: number, by: number): number => (value << by) | (value >>> (32 - by));
