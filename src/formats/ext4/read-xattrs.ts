import { type ByteString, bytesToByteString } from "../../lib/bytes/byte-string.ts";
import { getField, viewOf } from "../../lib/bytes/field.ts";
import { FormatError, UnsupportedError } from "../../lib/errors.ts";
import { fromDiskAcl } from "./acl.ts";
import { xattrBlockChecksum } from "./checksums.ts";
import {
  INODE,
  XATTR_BLOCK,
  XATTR_BLOCK_HEADER_SIZE,
  XATTR_ENTRY,
  XATTR_ENTRY_SIZE,
  XATTR_MAGIC,
  XATTR_PREFIXES,
} from "./layout.ts";
import { checksumError, type Ext4Volume, readBlocks } from "./volume.ts";

/**
 * Extended attributes of an inode, from behind its fields and from its block.
 *
 * @param inode the whole inode
 * @param block 0 when there is none
 * @throws {FormatError} `ext4.xattr.*`, `ext4.acl`
 * @throws {UnsupportedError} `ext4.xattr.value-inode` for a value in an inode of its own
 * @see Linux Documentation/filesystems/ext4/attributes.rst
 */
export function readXattrs(
  volume: Ext4Volume,
  inode: Uint8Array,
  block: number,
  what: string,
): ReadonlyMap<ByteString, ByteString> {
  const xattrs = new Map<ByteString, ByteString>();
  const at = inode.length > 128 ? 128 + getField(viewOf(inode), INODE.extraIsize) : inode.length;
  if (at + 4 <= inode.length && viewOf(inode).getUint32(at, true) === XATTR_MAGIC) {
    readEntries(inode.subarray(at + 4), 0, what, xattrs);
  }
  if (block !== 0) {
    const bytes = readBlocks(volume, block, 1, `${what}: extended attributes`);
    const header = viewOf(bytes);
    if (getField(header, XATTR_BLOCK.magic) !== XATTR_MAGIC || getField(header, XATTR_BLOCK.blocks) !== 1) {
      throw new FormatError("ext4.xattr.magic", {
        what: `${what}: extended attributes`,
        offset: block * volume.blockSize,
        expected: "0xea020000 and one block",
        found: `0x${getField(header, XATTR_BLOCK.magic).toString(16)}`,
      });
    }
    const stored = getField(header, XATTR_BLOCK.checksum);
    const seed = volume.checksumSeed;
    if (seed !== undefined && stored !== xattrBlockChecksum(seed, block, bytes)) {
      throw checksumError("ext4.xattr.checksum", `${what}: extended attributes`, block * volume.blockSize);
    }
    readEntries(bytes, XATTR_BLOCK_HEADER_SIZE, what, xattrs);
  }
  return xattrs;
}

/** Entries from `at` up to four zero bytes; values are counted from the start of `area`. */
function readEntries(area: Uint8Array, at: number, what: string, into: Map<ByteString, ByteString>): void {
  const view = viewOf(area);
  let entryAt = at;
  while (entryAt + 4 <= area.length && view.getUint32(entryAt, true) !== 0) {
    const nameLength = view.getUint8(entryAt);
    const nameAt = entryAt + XATTR_ENTRY_SIZE;
    if (nameAt + nameLength > area.length) throw outOfBounds(what, "name", entryAt, area.length);
    const entry = viewOf(area.subarray(entryAt, nameAt));
    const valueAt = getField(entry, XATTR_ENTRY.valueOffset);
    const valueSize = getField(entry, XATTR_ENTRY.valueSize);
    if (getField(entry, XATTR_ENTRY.valueInum) !== 0) {
      throw new UnsupportedError("ext4.xattr.value-inode", `${what}: an extended attribute has an inode of its own`);
    }
    if (valueAt + valueSize > area.length) throw outOfBounds(what, "value", entryAt, area.length);
    const prefix = XATTR_PREFIXES.find(([index]) => index === getField(entry, XATTR_ENTRY.nameIndex))?.[1];
    if (prefix === undefined) {
      throw new FormatError("ext4.xattr.index", {
        what: `${what}: extended attribute name index`,
        expected: XATTR_PREFIXES.map(([index]) => index).join(", "),
        found: String(getField(entry, XATTR_ENTRY.nameIndex)),
      });
    }
    const name = bytesToByteString(area.subarray(nameAt, nameAt + nameLength));
    const value = bytesToByteString(area.subarray(valueAt, valueAt + valueSize));
    into.set((prefix + name) as ByteString, prefix.endsWith(".") ? value : fromDiskAcl(value));
    entryAt = (nameAt + nameLength + 3) & ~3;
  }
}

function outOfBounds(what: string, part: string, at: number, size: number): FormatError {
  return new FormatError("ext4.xattr.out-of-bounds", {
    what: `${what}: ${part} of an extended attribute`,
    offset: at,
    expected: `the ${size} bytes of its place`,
    found: "beyond",
  });
}
