import { type ByteString, byteString, compareByteStrings, showByteString } from "../../lib/bytes/byte-string.ts";
import { FormatError } from "../../lib/errors.ts";
import { inFile } from "../../lib/in-file.ts";
import { type DirectoryEntry, type DirectoryLayout, layoutDirectory } from "./directory.ts";
import { requireTime } from "./inode.ts";
import { BLOCK_SIZE, FAST_SYMLINK_LIMIT, INO, LINK_MAX } from "./layout.ts";
import type { ContentRange, Ext4Directory, Ext4File, Ext4Leaf, Ext4Metadata, Ext4Node } from "./tree.ts";
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

/** Every inode of a tree. Items are made when they are asked for: what is kept of one is a reference and a number. */
export interface Inventory<C> {
  /** The root, lost+found, then the inodes 12, 13, ... */
  readonly count: number;
  readonly lastIno: number;
  itemAt(index: number): Item<C>;
}

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
 * @throws {FormatError} `ext4.name*`, `ext4.xattr*`, `ext4.acl`, `ext4.symlink`, `ext4.links`, `ext4.time`,
 *   `ext4.content-ranges`, `ext4.verity`, `ext4.directory-too-large`
 */
export function takeInventory<C>(root: Ext4Directory<C>, hashSeed: Uint8Array): Inventory<C> {
  const lostAndFound = findLostAndFound(root);
  const order: Ext4Node<C>[] = [root, lostAndFound];
  const indices = new Map<Ext4Node<C>, number>([
    [root, 0],
    [lostAndFound, 1],
  ]);
  const links: number[] = [0, 0];
  const directories = new Map<number, Pick<DirectoryItem<C>, "layout" | "parentIno">>([[0, emptyDirectory(INO.ROOT)]]);

  for (const [index, node] of order.entries()) {
    if (node.kind !== "directory") continue;
    const names = node === root ? new Map(node.entries).set(LOST_AND_FOUND, lostAndFound) : node.entries;
    const entries = [...names]
      .sort(([a], [b]) => compareByteStrings(a, b))
      .map(([name, child]): DirectoryEntry => {
        let at = indices.get(child);
        if (at === undefined) {
          at = order.push(child) - 1;
          indices.set(child, at);
          links.push(0);
        } else if (child.kind === "directory" && child !== lostAndFound) {
          throw new RangeError(`directory inode ${inoAt(at)} has two names`);
        }
        if (child.kind === "directory") directories.set(at, emptyDirectory(inoAt(index)));
        links[at] = (links[at] as number) + 1;
        return { name, ino: inoAt(at), kind: child.kind };
      });
    const layout = inFile(
      () => findPath(root, node),
      () => layoutDirectory(entries, hashSeed),
    );
    const isLostAndFound = node === lostAndFound && layout.kind === "linear";
    const { parentIno } = directories.get(index) as { parentIno: number };
    const blockCount = isLostAndFound ? LOST_AND_FOUND_BLOCKS : layout.blockCount;
    directories.set(index, { parentIno, layout: { ...layout, blockCount } });
    links[index] = directoryLinks(entries);
  }

  // Trees often hold one map for all files with the same label.
  const xattrLayouts = new Map<ReadonlyMap<ByteString, ByteString>, XattrLayout>();
  const xattrsOf = ({ xattrs }: Ext4Metadata): XattrLayout => {
    const known = xattrLayouts.get(xattrs) ?? layoutXattrs(xattrs);
    xattrLayouts.set(xattrs, known);
    return known;
  };
  const itemAt = (index: number): Item<C> => {
    const node = order[index] as Ext4Node<C>;
    const common = { ino: inoAt(index), links: links[index] as number, xattrs: xattrsOf(node.meta) };
    if (node.kind !== "directory") return { kind: "leaf", node, ...common, segments: leafSegments(node) };
    const { layout, parentIno } = directories.get(index) as Pick<DirectoryItem<C>, "layout" | "parentIno">;
    const segments = [{ block: 0, count: layout.blockCount }];
    return { kind: "directory", node, ...common, parentIno, layout, segments };
  };
  const check = (index: number, node: Ext4Node<C>): void => {
    requireTime({ sec: node.meta.mtimeSec, nsec: node.meta.mtimeNsec });
    requireLinks(links[index] as number);
    itemAt(index);
  };
  for (const [index, node] of order.entries()) {
    inFile(
      () => findPath(root, node),
      () => check(index, node),
    );
  }
  return { count: order.length, lastIno: inoAt(order.length - 1), itemAt };
}

const inoAt = (index: number): number => (index === 0 ? INO.ROOT : INO.LOST_AND_FOUND + index - 1);

const emptyDirectory = (parentIno: number) =>
  ({ parentIno, layout: { kind: "linear", entries: [], blockCount: 1 } }) as const;

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

function requireLinks(links: number): void {
  if (links <= LINK_MAX) return;
  throw new FormatError("ext4.links", {
    what: "ext4 hard links of one file",
    expected: `at most ${LINK_MAX}`,
    found: String(links),
  });
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
