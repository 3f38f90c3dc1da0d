import { setField, viewOf } from "../../lib/bytes/field.ts";
import { FormatError } from "../../lib/errors.ts";
import { inodeChecksum } from "./checksums.ts";
import { BLOCK_SIZE, EXTRA_ISIZE, INODE, INODE_BLOCK, INODE_SIZE, KINDS, type Kind } from "./layout.ts";
import { putInodeXattrs, type XattrLayout } from "./xattrs.ts";

export interface Timestamp {
  readonly sec: bigint;
  readonly nsec: number;
}

/** Everything an inode says; sizes in bytes, places in blocks. */
export interface InodeFields {
  readonly kind: Kind;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly links: number;
  /** Blocks of 4096 bytes, those of the metadata included. */
  readonly blocks: number;
  readonly flags: number;
  /** At most 60 bytes: extent tree, target of a short link, or device number. */
  readonly iBlock: Uint8Array;
  /** Place of the attribute block; 0 when there is none. */
  readonly xattrBlock: number;
  readonly xattrs: XattrLayout["inInode"];
  readonly modified: Timestamp;
  readonly changed: Timestamp;
}

const SEC_MIN = -(2n ** 31n);
/** 34 bits: two more than the old field, as inodes.rst tells. */
const SEC_MAX = 3n * 2n ** 32n + 2n ** 31n - 1n;

/** @throws {FormatError} `ext4.time` */
export function requireTime({ sec }: Timestamp): void {
  if (sec >= SEC_MIN && sec <= SEC_MAX) return;
  throw new FormatError("ext4.time", {
    what: "ext4 time",
    expected: `${SEC_MIN} to ${SEC_MAX} seconds since 1970`,
    found: String(sec),
  });
}

function encodeTime({ sec, nsec }: Timestamp): { readonly seconds: number; readonly extra: number } {
  const seconds = Number(BigInt.asIntN(32, sec));
  const epoch = Number((sec - BigInt(seconds)) >> 32n);
  return { seconds, extra: nsec * 4 + epoch };
}

/** @param seed checksum seed of this inode */
export function encodeInode(inode: InodeFields, seed: number): Uint8Array {
  const bytes = new Uint8Array(INODE_SIZE);
  const view = viewOf(bytes);
  const modified = encodeTime(inode.modified);
  const changed = encodeTime(inode.changed);
  const sectors = inode.blocks * (BLOCK_SIZE / 512);
  setField(view, INODE.mode, KINDS[inode.kind].mode | inode.mode);
  setField(view, INODE.uid, inode.uid & 0xffff);
  setField(view, INODE.uidHi, inode.uid >>> 16);
  setField(view, INODE.gid, inode.gid & 0xffff);
  setField(view, INODE.gidHi, inode.gid >>> 16);
  setField(view, INODE.sizeLo, inode.size % 2 ** 32);
  setField(view, INODE.sizeHi, Math.floor(inode.size / 2 ** 32));
  setField(view, INODE.links, inode.links);
  setField(view, INODE.blocksLo, sectors % 2 ** 32);
  setField(view, INODE.blocksHi, Math.floor(sectors / 2 ** 32));
  setField(view, INODE.flags, inode.flags);
  bytes.set(inode.iBlock, INODE_BLOCK);
  setField(view, INODE.fileAclLo, inode.xattrBlock);
  setField(view, INODE.extraIsize, EXTRA_ISIZE);
  setField(view, INODE.mtime, modified.seconds);
  setField(view, INODE.mtimeExtra, modified.extra);
  setField(view, INODE.atime, modified.seconds);
  setField(view, INODE.atimeExtra, modified.extra);
  setField(view, INODE.ctime, changed.seconds);
  setField(view, INODE.ctimeExtra, changed.extra);
  setField(view, INODE.crtime, changed.seconds);
  setField(view, INODE.crtimeExtra, changed.extra);
  putInodeXattrs(bytes, inode.xattrs);
  const checksum = inodeChecksum(seed, bytes);
  setField(view, INODE.checksumLo, checksum & 0xffff);
  setField(view, INODE.checksumHi, checksum >>> 16);
  return bytes;
}
