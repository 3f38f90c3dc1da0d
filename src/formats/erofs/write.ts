/** The second pass over an image: its bytes, front to back. */
import { type Field, setField, viewOf } from "../../lib/bytes/field.ts";
import { type PackedDirectory, putDirectoryPart } from "./directory.ts";
import type { ErofsInode } from "./inode.ts";
import {
  BLOCK_BITS,
  BLOCK_SIZE,
  COMPACT_INODE,
  COMPACT_INODE_SIZE,
  COMPOSEFS_FLAG_HAS_ACL,
  COMPOSEFS_HEADER,
  COMPOSEFS_HEADER_SIZE,
  COMPOSEFS_HEADER_VERSION,
  COMPOSEFS_MAGIC,
  EXTENDED_INODE,
  EXTENDED_INODE_SIZE,
  FEATURE_COMPAT,
  INODE_EXTENDED,
  INODE_LAYOUT,
  SLOT_SIZE,
  SUPERBLOCK,
  SUPERBLOCK_MAGIC,
  SUPERBLOCK_OFFSET,
  SUPERBLOCK_SIZE,
  XATTR_BODY,
  XATTR_BODY_SIZE,
  XATTR_ENTRY,
  XATTR_ENTRY_SIZE,
} from "./layout.ts";
import type { ErofsPlan } from "./plan.ts";
import { Sink } from "./sink.ts";
import { putValue, type Xattr } from "./xattr.ts";

/** Bytes that are laid out before they are handed on. */
const WINDOW_SIZE = 1 << 18;

/**
 * Hands on the planned image in consecutive chunks, each valid until `emit` returns.
 *
 * @param windowSize bytes held at once; a larger inode makes it grow
 */
export function emitErofs(plan: ErofsPlan, emit: (chunk: Uint8Array) => void, windowSize: number = WINDOW_SIZE): void {
  const sink = new Sink(windowSize, emit);
  putHeader(plan, sink);
  putSuperblock(plan, sink);
  for (const inode of plan.inodes) putInode(plan, inode, sink);
  for (const xattr of plan.shared) {
    const at = sink.reserve(xattr.sharedOffset, xattr.size);
    putXattr(xattr, sink.buffer, at);
  }
  for (const inode of plan.inodes) {
    if (plan.blocks[inode.index] !== 0) putBlocks(plan, inode, sink);
  }
  sink.finish(plan.imageSize);
}

/** The planned image as a whole. */
export function encodeErofs(plan: ErofsPlan): Uint8Array {
  let image: Uint8Array = new Uint8Array(0);
  // A window over all of it moves once, at the end.
  emitErofs(plan, (chunk) => (image = chunk), plan.imageSize);
  return image;
}

function putHeader({ version, rules, hasAcl }: ErofsPlan, sink: Sink): void {
  const at = sink.reserve(0, COMPOSEFS_HEADER_SIZE);
  const view = viewOf(sink.buffer.subarray(at, at + COMPOSEFS_HEADER_SIZE));
  setField(view, COMPOSEFS_HEADER.magic, COMPOSEFS_MAGIC);
  setField(view, COMPOSEFS_HEADER.version, COMPOSEFS_HEADER_VERSION);
  setField(view, COMPOSEFS_HEADER.flags, rules.aclFlag && hasAcl ? COMPOSEFS_FLAG_HAS_ACL : 0);
  setField(view, COMPOSEFS_HEADER.composefsVersion, version);
}

function putSuperblock(plan: ErofsPlan, sink: Sink): void {
  const { rules, leastMtime } = plan;
  const at = sink.reserve(SUPERBLOCK_OFFSET, SUPERBLOCK_SIZE);
  const view = viewOf(sink.buffer.subarray(at, at + SUPERBLOCK_SIZE));
  const put = (field: Field, value: number): void => setField(view, field, value);
  put(SUPERBLOCK.magic, SUPERBLOCK_MAGIC);
  put(SUPERBLOCK.featureCompat, FEATURE_COMPAT.mtime | FEATURE_COMPAT.xattrFilter);
  put(SUPERBLOCK.blockBits, BLOCK_BITS);
  put(SUPERBLOCK.rootNid, nidAt(plan, 0));
  put(SUPERBLOCK.inodeCount, plan.inodes.length);
  put(SUPERBLOCK.blockCount, plan.imageSize / BLOCK_SIZE);
  if (rules.compactInodes) {
    view.setBigInt64(SUPERBLOCK.buildTime[0], leastMtime.sec, true);
    put(SUPERBLOCK.buildTimeNsec, leastMtime.nsec);
  }
  if (rules.relativeReferences) put(SUPERBLOCK.xattrBlock, Math.floor(plan.inodesEnd / BLOCK_SIZE));
}

const nidAt = (plan: ErofsPlan, index: number): number => (plan.positions[index] as number) / SLOT_SIZE;

function putInode(plan: ErofsPlan, inode: ErofsInode, sink: Sink): void {
  const { index, content } = inode;
  const position = plan.positions[index] as number;
  const xattrSize = plan.xattrSizes[index] as number;
  const tail = plan.tails[index] as number;
  const compact = plan.compact[index] === 1;
  const headerSize = compact ? COMPACT_INODE_SIZE : EXTENDED_INODE_SIZE;
  const at = sink.reserve(position, headerSize + xattrSize + tail);
  const into = sink.buffer;
  if (compact) putCompact(plan, inode, sink.view, at);
  else putExtended(plan, inode, sink.view, at);
  if (xattrSize > 0) putXattrs(plan, inode, into, at + headerSize);
  if (tail === 0) return;
  const tailAt = at + headerSize + xattrSize;
  switch (content.kind) {
    case "directory": {
      const packed = plan.directories.get(inode) as PackedDirectory;
      putDirectoryPart(packed, packed.starts.length - 1, (child) => nidAt(plan, child.index), into, tailAt);
      return;
    }
    case "inline":
      into.set(content.bytes.subarray(content.bytes.length - tail), tailAt);
      return;
    case "symlink":
      into.write(content.target, tailAt, "latin1");
      return;
    case "chunks":
      into.fill(0xff, tailAt, tailAt + tail);
      return;
    case "device":
    case "none":
      return;
    default:
      content satisfies never;
  }
}

function dataLayout(plan: ErofsPlan, { index, content }: ErofsInode): number {
  if (content.kind === "chunks") return INODE_LAYOUT.chunkBased;
  return (plan.tails[index] as number) > 0 ? INODE_LAYOUT.flatInline : INODE_LAYOUT.flatPlain;
}

/** The union field: a block number, a chunk format or a device number. */
function unionOf(plan: ErofsPlan, { index, content }: ErofsInode): number {
  if (content.kind === "device") return content.rdev;
  const block = plan.blocks[index] === 0 ? 0 : plan.dataBlock + (plan.firstBlocks[index] as number);
  // Chunk addresses in a block of their own: libcomposefs leaves the upper half of its number here.
  return content.kind === "chunks" ? ((block & 0xffff0000) | plan.rules.chunkFormat(content.size)) >>> 0 : block;
}

function xattrCount(plan: ErofsPlan, index: number): number {
  const size = plan.xattrSizes[index] as number;
  return size === 0 ? 0 : (size - XATTR_BODY_SIZE) / 4 + 1;
}

function putCompact(plan: ErofsPlan, inode: ErofsInode, into: DataView, at: number): void {
  const { index } = inode;
  const field = COMPACT_INODE;
  into.setUint16(at + field.format[0], dataLayout(plan, inode) << 1, true);
  into.setUint16(at + field.xattrCount[0], xattrCount(plan, index), true);
  into.setUint16(at + field.mode[0], inode.mode, true);
  into.setUint16(at + field.nlink[0], inode.nlink, true);
  into.setUint32(at + field.size[0], plan.sizes[index] as number, true);
  into.setUint32(at + field.union[0], unionOf(plan, inode), true);
  into.setUint32(at + field.ino[0], index, true);
  into.setUint16(at + field.uid[0], inode.uid, true);
  into.setUint16(at + field.gid[0], inode.gid, true);
}

function putExtended(plan: ErofsPlan, inode: ErofsInode, into: DataView, at: number): void {
  const { index } = inode;
  const { rules } = plan;
  const field = EXTENDED_INODE;
  const size = plan.sizes[index] as number;
  into.setUint16(at + field.format[0], (dataLayout(plan, inode) << 1) | INODE_EXTENDED, true);
  into.setUint16(at + field.xattrCount[0], xattrCount(plan, index), true);
  into.setUint16(at + field.mode[0], inode.mode, true);
  into.setUint32(at + field.size[0], size % 2 ** 32, true);
  into.setUint32(at + field.size[0] + 4, Math.floor(size / 2 ** 32), true);
  into.setUint32(at + field.union[0], unionOf(plan, inode), true);
  into.setUint32(at + field.ino[0], rules.numberedByNid ? nidAt(plan, index) : index, true);
  into.setUint32(at + field.uid[0], inode.uid, true);
  into.setUint32(at + field.gid[0], inode.gid, true);
  into.setBigInt64(at + field.mtimeSec[0], inode.mtimeSec, true);
  into.setUint32(at + field.mtimeNsec[0], rules.nanoseconds ? inode.mtimeNsec : 0, true);
  into.setUint32(at + field.nlink[0], inode.nlink, true);
}

/** References to shared entries first, then the local ones, both in the order of the inode's list. */
function putXattrs(plan: ErofsPlan, { xattrs }: ErofsInode, into: Buffer, at: number): void {
  const tableStart = plan.rules.relativeReferences ? Math.floor(plan.inodesEnd / BLOCK_SIZE) * BLOCK_SIZE : 0;
  let filter = 0xffffffff;
  let sharedCount = 0;
  let next = at + XATTR_BODY_SIZE;
  for (const xattr of xattrs) {
    filter &= ~xattr.name.filterBit;
    if (xattr.uses < 2) continue;
    into.writeUInt32LE((xattr.sharedOffset - tableStart) / 4, next);
    next += 4;
    sharedCount++;
  }
  into.writeUInt32LE(filter >>> 0, at + XATTR_BODY.nameFilter[0]);
  into[at + XATTR_BODY.sharedCount[0]] = sharedCount;
  for (const xattr of xattrs) {
    if (xattr.uses > 1) continue;
    putXattr(xattr, into, next);
    next += xattr.size;
  }
}

function putXattr(xattr: Xattr, into: Buffer, at: number): void {
  const { suffix, index } = xattr.name;
  into[at + XATTR_ENTRY.nameLength[0]] = suffix.length;
  into[at + XATTR_ENTRY.nameIndex[0]] = index;
  into[at + XATTR_ENTRY.valueSize[0]] = xattr.valueSize & 0xff;
  into[at + XATTR_ENTRY.valueSize[0] + 1] = xattr.valueSize >> 8;
  into.write(suffix, at + XATTR_ENTRY_SIZE, "latin1");
  putValue(xattr, into, at + XATTR_ENTRY_SIZE + suffix.length);
}

function putBlocks(plan: ErofsPlan, inode: ErofsInode, sink: Sink): void {
  const { content, index } = inode;
  const size = (plan.blocks[index] as number) * BLOCK_SIZE;
  const at = sink.reserve((plan.dataBlock + (plan.firstBlocks[index] as number)) * BLOCK_SIZE, size);
  const into = sink.buffer;
  switch (content.kind) {
    case "directory": {
      const packed = plan.directories.get(inode) as PackedDirectory;
      for (let part = 0; part < packed.blocks; part++) {
        putDirectoryPart(packed, part, (child) => nidAt(plan, child.index), into, at + part * BLOCK_SIZE);
      }
      return;
    }
    case "inline":
      into.set(content.bytes.subarray(0, size), at);
      return;
    case "symlink":
      into.write(content.target, at, "latin1");
      return;
    case "chunks":
      into.fill(0xff, at, at + size);
      return;
    case "device":
    case "none":
      return;
    default:
      content satisfies never;
  }
}
