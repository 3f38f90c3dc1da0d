import { type ByteString, byteString, compareByteStrings, showByteString } from "../../lib/bytes/byte-string.ts";
import { FormatError } from "../../lib/errors.ts";
import { inFile } from "../../lib/in-file.ts";
import { type DirectoryEntry, type DirectoryLayout, layoutDirectory } from "./directory.ts";
import { requireTime } from "./inode.ts";
import { BLOCK_SIZE, FAST_SYMLINK_LIMIT, INO, LINK_MAX } from "./layout.ts";
import type { ContentRange, Ext4Directory, Ext4File, Ext4Leaf, Ext4Node } from "./tree.ts";
import { verityOffset } from "./verity.ts";
import { layoutXattrs, type XattrLayout } from "./xattrs.ts";

/** Neighbouring blocks of a file's own numbering that must be stored. */
export interface Segment {
  readonly block: number;
  readonly count: number;
}

interface Common {
  readonly ino: number;
  readonly links: number;
  readonly xattrs: XattrLayout;
  readonly segments: readonly Segment[];
}

export interface DirectoryItem<C> extends Common {
  readonly kind: "directory";
  readonly node: Ext4Directory<C>;
  readonly parentIno: number;
  readonly layout: DirectoryLayout<DirectoryEntry>;
}

export interface LeafItem<C> extends Common {
  readonly kind: "leaf";
  readonly node: Ext4Leaf<C>;
}

/** One inode of the tree, before it has a place. */
export type Item<C> = DirectoryItem<C> | LeafItem<C>;

export const LOST_AND_FOUND: ByteString = byteString("lost+found");
/** mke2fs makes it this large, so that e2fsck need not allocate when it is needed. */
const LOST_AND_FOUND_BLOCKS = 4;
/** PATH_MAX in one block, with the NUL. */
const SYMLINK_MAX = BLOCK_SIZE - 1;

/**
 * Numbers the inodes of a tree and lays out what does not depend on places: breadth first, names in byte order.
 *
 * A refusal names the path of the node that it is about.
 *
 * @param hashSeed s_hash_seed
 * @returns items by inode number: the root, lost+found, then 12, 13, ...
 * @throws {FormatError} `ext4.name*`, `ext4.xattr*`, `ext4.acl`, `ext4.symlink`, `ext4.links`, `ext4.time`,
 *   `ext4.content-ranges`, `ext4.verity`, `ext4.directory-too-large`
 */
export function takeInventory<C>(root: Ext4Directory<C>, hashSeed: Uint8Array): Item<C>[] {
  const lostAndFound = findLostAndFound(root);
  const inodes = new Map<Ext4Node<C>, { ino: number; links: number; parentIno: number }>();
  const children = new Map<Ext4Directory<C>, DirectoryEntry[]>();
  const order: Ext4Node<C>[] = [root, lostAndFound];
  inodes.set(root, { ino: INO.ROOT, links: 0, parentIno: INO.ROOT });
  inodes.set(lostAndFound, { ino: INO.LOST_AND_FOUND, links: 0, parentIno: INO.ROOT });
  let nextIno: number = INO.LOST_AND_FOUND + 1;

  for (const node of order) {
    if (node.kind !== "directory") continue;
    const parentIno = inodes.get(node)?.ino as number;
    const names = node === root ? new Map(node.entries).set(LOST_AND_FOUND, lostAndFound) : node.entries;
    const entries = [...names]
      .sort(([a], [b]) => compareByteStrings(a, b))
      .map(([name, child]): DirectoryEntry => {
        let inode = inodes.get(child);
        if (inode === undefined) {
          inode = { ino: nextIno++, links: 0, parentIno };
          inodes.set(child, inode);
          order.push(child);
        } else if (child.kind === "directory" && child !== lostAndFound) {
          throw new RangeError(`directory inode ${inode.ino} has two names`);
        }
        inode.links++;
        return { name, ino: inode.ino, kind: child.kind };
      });
    children.set(node, entries);
  }

  // Trees often hold one map for all files with the same label.
  const layouts = new Map<ReadonlyMap<ByteString, ByteString>, XattrLayout>();
  const layoutOf = (xattrs: ReadonlyMap<ByteString, ByteString>): XattrLayout => {
    const known = layouts.get(xattrs) ?? layoutXattrs(xattrs);
    layouts.set(xattrs, known);
    return known;
  };

  const toItem = (node: Ext4Node<C>): Item<C> => {
    const { ino, links, parentIno } = inodes.get(node) as { ino: number; links: number; parentIno: number };
    requireTime({ sec: node.meta.mtimeSec, nsec: node.meta.mtimeNsec });
    const xattrs = layoutOf(node.meta.xattrs);
    if (node.kind !== "directory") {
      return { kind: "leaf", node, ino, links: requireLinks(links), xattrs, segments: leafSegments(node) };
    }
    const entries = children.get(node) as DirectoryEntry[];
    const layout = layoutDirectory(entries, hashSeed);
    const isLostAndFound = node === lostAndFound && layout.kind === "linear";
    const blockCount = isLostAndFound ? LOST_AND_FOUND_BLOCKS : layout.blockCount;
    return {
      kind: "directory",
      node,
      ino,
      parentIno,
      links: directoryLinks(entries),
      xattrs,
      layout: { ...layout, blockCount },
      segments: [{ block: 0, count: blockCount }],
    };
  };
  return order.map((node) =>
    inFile(
      () => findPath(root, node),
      () => toItem(node),
    ),
  );
}

/** The one of the tree, or a new one: e2fsck wants it to be there. */
function findLostAndFound<C>(root: Ext4Directory<C>): Ext4Directory<C> {
  const given = root.entries.get(LOST_AND_FOUND);
  if (given === undefined) {
    const meta = { ...root.meta, mode: 0o700, uid: 0, gid: 0, xattrs: new Map() };
    return { kind: "directory", meta, entries: new Map() };
  }
  if (given.kind === "directory") return given;
  throw new FormatError("ext4.name-reserved", {
    what: "ext4 root directory: lost+found",
    expected: "a directory, or nothing",
    found: `a ${given.kind}`,
  });
}

/** First path of a node; asked for only when something is wrong with it. */
function findPath<C>(root: Ext4Directory<C>, wanted: Ext4Node<C>): string {
  const open: [Ext4Directory<C>, string][] = [[root, ""]];
  for (const [directory, path] of open) {
    for (const [name, node] of directory.entries) {
      const below = `${path}/${showByteString(name)}`;
      if (node === wanted) return below;
      if (node.kind === "directory") open.push([node, below]);
    }
  }
  return "/";
}

/** "." and the name in the parent, and ".." of each sub-directory; 1 when that is more than can be counted. */
function directoryLinks(entries: readonly DirectoryEntry[]): number {
  const links = 2 + entries.filter(({ kind }) => kind === "directory").length;
  return links > LINK_MAX ? 1 : links;
}

function requireLinks(links: number): number {
  if (links > LINK_MAX) {
    throw new FormatError("ext4.links", {
      what: "ext4 hard links of one file",
      expected: `at most ${LINK_MAX}`,
      found: String(links),
    });
  }
  return links;
}

function leafSegments<C>(node: Ext4Leaf<C>): Segment[] {
  switch (node.kind) {
    case "file":
      return fileSegments(node);
    case "symlink":
      if (node.target.length === 0 || node.target.length > SYMLINK_MAX) {
        throw new FormatError("ext4.symlink", {
          what: "ext4 symbolic link target",
          expected: `1 to ${SYMLINK_MAX} bytes`,
          found: String(node.target.length),
        });
      }
      return node.target.length < FAST_SYMLINK_LIMIT ? [] : [{ block: 0, count: 1 }];
    default:
      return [];
  }
}

function fileSegments<C>({ ranges, size, verity }: Ext4File<C>): Segment[] {
  const count = Math.ceil(size / BLOCK_SIZE);
  const data = ranges === undefined ? (count === 0 ? [] : [{ block: 0, count }]) : rangeSegments(ranges, count);
  if (verity === undefined) return data;
  const { metadataSize } = verity;
  if (metadataSize % BLOCK_SIZE !== 0 || metadataSize <= 0) {
    throw new FormatError("ext4.verity", {
      what: "fs-verity metadata",
      expected: "whole blocks",
      found: `${metadataSize} bytes`,
    });
  }
  return [...data, { block: verityOffset(size) / BLOCK_SIZE, count: metadataSize / BLOCK_SIZE }];
}

function rangeSegments(ranges: readonly ContentRange[], blockCount: number): Segment[] {
  let end = 0;
  return ranges.map(({ offset, size }) => {
    const segment = { block: offset / BLOCK_SIZE, count: Math.ceil(size / BLOCK_SIZE) };
    if (!Number.isInteger(segment.block) || segment.block < end || segment.count < 1) {
      throw badRange(`ascending ranges of whole blocks`, offset, size);
    }
    end = segment.block + segment.count;
    if (end > blockCount) throw badRange(`ranges in ${blockCount} blocks`, offset, size);
    return segment;
  });
}

function badRange(expected: string, offset: number, size: number): FormatError {
  const what = "ranges of the content";
  return new FormatError("ext4.content-ranges", { what, expected, found: `${size} bytes at byte ${offset}` });
}
