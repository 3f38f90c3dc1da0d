import { UnsupportedError } from "../../lib/errors.ts";
import type { ImageBytes } from "./image-bytes.ts";
import {
  COMPACT_INODE,
  COMPACT_INODE_SIZE,
  DIRENT_TYPE,
  EXTENDED_INODE,
  EXTENDED_INODE_SIZE,
  INODE_EXTENDED,
  INODE_LAYOUT,
  SLOT_SIZE,
  XATTR_BODY_SIZE,
  XATTR_ENTRY_SIZE,
} from "./layout.ts";
import type { ErofsSuperblock } from "./read-superblock.ts";
import { refuse, showHex } from "./refuse.ts";

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

/** @see ErofsImage.inode */
export function readInode(image: ImageBytes, superblock: ErofsSuperblock, nid: number): StoredInode {
  const at = superblock.metaBlock * superblock.blockSize + nid * SLOT_SIZE;
  image.require(at, COMPACT_INODE_SIZE, "inode");
  const format = image.get(at, COMPACT_INODE.format);
  const layout = layoutOf(format, at);
  const extended = (format & INODE_EXTENDED) !== 0;
  const headerSize = extended ? EXTENDED_INODE_SIZE : COMPACT_INODE_SIZE;
  image.require(at, headerSize, "inode");
  const mode = image.get(at, COMPACT_INODE.mode);
  if (DIRENT_TYPE[mode >> 12] === 0) {
    throw refuse("erofs.inode.mode", "inode: mode", at, "the type bits of a file kind", `0${mode.toString(8)}`);
  }
  const count = image.get(at, COMPACT_INODE.xattrCount);
  const xattrsAt = at + headerSize;
  const tailAt = xattrsAt + (count === 0 ? 0 : XATTR_BODY_SIZE + (count - 1) * XATTR_ENTRY_SIZE);
  image.require(xattrsAt, tailAt - xattrsAt, "inode: xattrs");
  return {
    nid,
    mode,
    layout,
    xattrsAt,
    tailAt,
    ...(extended ? extendedNumbers(image, at) : compactNumbers(image, superblock, at)),
  };
}

type InodeNumbers = Pick<StoredInode, "nlink" | "size" | "union" | "ino" | "uid" | "gid" | "mtimeSec" | "mtimeNsec">;

function compactNumbers(image: ImageBytes, { buildTime, buildTimeNsec }: ErofsSuperblock, at: number): InodeNumbers {
  return {
    nlink: image.get(at, COMPACT_INODE.nlink),
    size: BigInt(image.get(at, COMPACT_INODE.size)),
    union: image.get(at, COMPACT_INODE.union),
    ino: image.get(at, COMPACT_INODE.ino),
    uid: image.get(at, COMPACT_INODE.uid),
    gid: image.get(at, COMPACT_INODE.gid),
    mtimeSec: buildTime,
    mtimeNsec: buildTimeNsec,
  };
}

function extendedNumbers(image: ImageBytes, at: number): InodeNumbers {
  return {
    nlink: image.get(at, EXTENDED_INODE.nlink),
    size: image.view.getBigUint64(at + EXTENDED_INODE.size[0], true),
    union: image.get(at, EXTENDED_INODE.union),
    ino: image.get(at, EXTENDED_INODE.ino),
    uid: image.get(at, EXTENDED_INODE.uid),
    gid: image.get(at, EXTENDED_INODE.gid),
    mtimeSec: image.view.getBigInt64(at + EXTENDED_INODE.mtimeSec[0], true),
    mtimeNsec: image.get(at, EXTENDED_INODE.mtimeNsec),
  };
}

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
