import { type ByteString, bytesToByteString } from "../../lib/bytes/byte-string.ts";
import { getField, viewOf } from "../../lib/bytes/field.ts";
import { FormatError, UnsupportedError } from "../../lib/errors.ts";
import { hasChecksumHi, inodeChecksum, inodeSeed } from "./checksums.ts";
import type { Timestamp } from "./inode.ts";
import { FAST_SYMLINK_LIMIT, INODE, INODE_BLOCK, INODE_BLOCK_SIZE, INODE_FLAG, KINDS, type Kind } from "./layout.ts";
import { readFileRanges } from "./read-extents.ts";
import { readXattrs } from "./read-xattrs.ts";
import { checksumError, type Ext4Volume, readBlocks } from "./volume.ts";

/** One inode, parsed; contents are read with it. */
export interface Ext4Inode {
  readonly ino: number;
  readonly kind: Kind;
  /** Permission bits with set-id and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly links: number;
  readonly size: number;
  readonly modified: Timestamp;
  readonly flags: number;
  /** 0 unless the inode is a device. */
  readonly rdev: number;
  /** Has fs-verity metadata behind its end. */
  readonly isVerity: boolean;
  /** Device number, target of a short link, or root of the extent tree. */
  readonly iBlock: Uint8Array;
  readonly xattrs: ReadonlyMap<ByteString, ByteString>;
  /** Checksum seed of what belongs to this inode. */
  readonly checksumSeed: number | undefined;
}

/**
 * Reads one inode and its extended attributes.
 *
 * @throws {FormatError} `ext4.inode.*`, `ext4.xattr.*`, `ext4.block.out-of-bounds`
 * @throws {UnsupportedError} `ext4.inode.inline-data`
 */
export function readInode(volume: Ext4Volume, ino: number): Ext4Inode {
  if (!(ino >= 1 && ino <= volume.inodeCount)) {
    throw new FormatError("ext4.inode.number", {
      what: "ext4 inode number",
      expected: `1 to ${volume.inodeCount}`,
      found: String(ino),
    });
  }
  const what = `ext4 inode ${ino}`;
  const index = (ino - 1) % volume.inodesPerGroup;
  const perBlock = volume.blockSize / volume.inodeSize;
  const table = volume.inodeTable(Math.floor((ino - 1) / volume.inodesPerGroup));
  const block = readBlocks(volume, table + Math.floor(index / perBlock), 1, what);
  const at = (index % perBlock) * volume.inodeSize;
  const bytes = block.slice(at, at + volume.inodeSize);
  const view = viewOf(bytes);
  const get = (name: keyof typeof INODE): number => getField(view, INODE[name]);

  const checksumSeed =
    volume.checksumSeed === undefined ? undefined : inodeSeed(volume.checksumSeed, ino, get("generation"));
  if (checksumSeed !== undefined) {
    const [mask, stored] = hasChecksumHi(bytes)
      ? [0xffff_ffff, get("checksumHi") * 0x1_0000 + get("checksumLo")]
      : [0xffff, get("checksumLo")];
    const computed = (inodeChecksum(checksumSeed, bytes) & mask) >>> 0;
    if (stored !== computed) throw checksumError("ext4.inode.checksum", what, INODE.checksumLo[0]);
  }
  const kind = Object.entries(KINDS).find(([, { mode }]) => mode === (get("mode") & 0o170000))?.[0] as Kind | undefined;
  if (kind === undefined) {
    throw new FormatError("ext4.inode.type", {
      what: `${what}: mode`,
      expected: "a known file type",
      found: `0o${get("mode").toString(8)}`,
    });
  }
  const flags = get("flags");
  if ((flags & INODE_FLAG.INLINE_DATA) !== 0) {
    throw new UnsupportedError("ext4.inode.inline-data", `${what}: inline data is not read`);
  }
  const iBlock = bytes.subarray(INODE_BLOCK, INODE_BLOCK + INODE_BLOCK_SIZE);
  const xattrBlock = get("fileAclLo") + get("fileAclHi") * 2 ** 32;
  return {
    ino,
    kind,
    mode: get("mode") & 0o7777,
    uid: get("uid") + get("uidHi") * 0x1_0000,
    gid: get("gid") + get("gidHi") * 0x1_0000,
    links: get("links"),
    size: get("sizeLo") + get("sizeHi") * 2 ** 32,
    modified: parseTime(get("mtime"), hasField(bytes, INODE.mtimeExtra) ? get("mtimeExtra") : 0),
    flags,
    rdev: kind === "char" || kind === "block" ? parseDevice(iBlock) : 0,
    isVerity: (flags & INODE_FLAG.VERITY) !== 0,
    iBlock,
    xattrs: readXattrs(volume, bytes, xattrBlock, what),
    checksumSeed,
  };
}

/** Whether a field behind the first 128 bytes is in use (i_extra_isize). */
function hasField(inode: Uint8Array, [offset, size]: readonly [number, number]): boolean {
  return inode.length > 128 && 128 + getField(viewOf(inode), INODE.extraIsize) >= offset + size;
}

function parseTime(seconds: number, extra: number): Timestamp {
  return { sec: BigInt.asIntN(32, BigInt(seconds)) + (BigInt(extra & 3) << 32n), nsec: extra >>> 2 };
}

function parseDevice(iBlock: Uint8Array): number {
  const view = viewOf(iBlock);
  return view.getUint32(0, true) || view.getUint32(4, true);
}

/**
 * The target of a symbolic link.
 *
 * @throws {FormatError} `ext4.symlink`, `ext4.extent*`
 */
export function readLinkTarget(volume: Ext4Volume, inode: Ext4Inode): ByteString {
  if (inode.size < FAST_SYMLINK_LIMIT && (inode.flags & INODE_FLAG.EXTENTS) === 0) {
    return bytesToByteString(inode.iBlock.subarray(0, inode.size));
  }
  if (inode.size === 0 || inode.size > volume.blockSize) {
    throw new FormatError("ext4.symlink", {
      what: `ext4 inode ${inode.ino}: target of the link`,
      expected: `1 to ${volume.blockSize} bytes`,
      found: String(inode.size),
    });
  }
  return bytesToByteString(Buffer.concat([...readFile(volume, inode)]));
}

/** Most bytes in one chunk of a file. */
const CHUNK_SIZE = 1 << 20;

/**
 * Reads a range of a file; holes give zeros. `size` may pass the end of the file, where a verity file keeps its metadata.
 *
 * A file may claim any size: whoever reads what is not checked otherwise looks at `inode.size` first.
 *
 * @returns chunks of at most 1 MiB, views into the source where it gives views
 * @throws {FormatError} `ext4.extent*`, `ext4.block.out-of-bounds`
 */
export function* readFile(
  volume: Ext4Volume,
  inode: Ext4Inode,
  from = 0,
  size = inode.size - from,
): Generator<Uint8Array, void, void> {
  const end = from + size;
  let at = from;
  for (const range of [...readFileRanges(volume, inode), { offset: end, size: 0, block: 0 }]) {
    yield* zeros(Math.min(range.offset, end) - at);
    at = Math.max(at, Math.min(range.offset, end));
    const stop = Math.min(range.offset + range.size, end);
    while (at < stop) {
      const length = Math.min(CHUNK_SIZE, stop - at);
      yield volume.source.read(range.block * volume.blockSize + at - range.offset, length);
      at += length;
    }
  }
}

function* zeros(size: number): Generator<Uint8Array, void, void> {
  const chunk = new Uint8Array(Math.max(0, Math.min(size, CHUNK_SIZE)));
  for (let left = size; left > 0; left -= chunk.length) yield chunk.subarray(0, Math.min(chunk.length, left));
}
