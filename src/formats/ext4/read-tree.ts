import { type ByteString, showByteString } from "../../lib/bytes/byte-string.ts";
import { alignUp } from "../../lib/bytes/numbers.ts";
import { FormatError } from "../../lib/errors.ts";
import { inFile } from "../../lib/in-file.ts";
import { BLOCK_SIZE, CHATTR_FLAGS, INO } from "./layout.ts";
import { readDirectory } from "./read-directory.ts";
import { readFileRanges } from "./read-extents.ts";
import { type Ext4Inode, readInode, readLinkTarget } from "./read-inode.ts";
import type { ContentRange, Ext4Directory, Ext4File, Ext4Leaf, Ext4Metadata, Ext4Node } from "./tree.ts";
import { verityOffset } from "./verity.ts";
import type { Ext4Volume } from "./volume.ts";

/** A directory whose entries are the reader's to change. */
export interface MutableExt4Directory<C> extends Ext4Directory<C> {
  readonly entries: Map<ByteString, Ext4Node<C>>;
}

/** Safety limit, not a format rule: names take some 100 bytes of memory each. */
const NAMES_MAX = 8_000_000;
/** Safety limit, not a format rule: paths grow with the square of it. */
const DEPTH_MAX = 1000;

/**
 * Reads a whole file system as the tree that `planExt4` takes: names, links, metadata, holes; contents are only named.
 *
 * What is not part of the tree stays behind: times of access and change, generations, blocks set aside behind the end of
 * files, files without a name. `lost+found` is left out when it is empty.
 *
 * @param contentOf names the bytes of a file from `offset` on: 0, or where the metadata of fs-verity starts
 * @throws {FormatError} `ext4.*`, with the path; `ext4.tree.*`
 * @throws {UnsupportedError} `ext4.*`
 */
export function readExt4Tree<C>(
  volume: Ext4Volume,
  contentOf: (ino: number, offset: number) => C,
): MutableExt4Directory<C> {
  const reader = new TreeReader(volume, contentOf);
  return reader.read();
}

class TreeReader<C> {
  readonly #volume: Ext4Volume;
  readonly #contentOf: (ino: number, offset: number) => C;
  /** Files by inode: several names are one node. */
  readonly #leaves = new Map<number, Ext4Leaf<C>>();
  readonly #directories = new Set<number>();
  /** Equal metadata are one value: an OS has few different ones beside the times. */
  readonly #metadata = new Map<string, Ext4Metadata>();
  #names = 0;

  constructor(volume: Ext4Volume, contentOf: (ino: number, offset: number) => C) {
    this.#volume = volume;
    this.#contentOf = contentOf;
  }

  read(): MutableExt4Directory<C> {
    const rootInode = readInode(this.#volume, INO.ROOT);
    const root = this.#directory(rootInode);
    const open = [{ inode: rootInode, node: root, path: "", depth: 0 }];
    for (const { depth, inode, node, path } of open) {
      if (depth > DEPTH_MAX) {
        const expected = `at most ${DEPTH_MAX} directories`;
        throw new FormatError("ext4.tree.too-deep", { what: "ext4 tree: depth", expected, found: "more" });
      }
      for (const { ino, name } of inFile(path || "/", () => readDirectory(this.#volume, inode))) {
        if (++this.#names > NAMES_MAX) {
          const expected = `at most ${NAMES_MAX} names`;
          throw new FormatError("ext4.tree.too-many-names", { what: "ext4 tree", expected, found: "more" });
        }
        const below = `${path}/${showByteString(name)}`;
        const child = inFile(below, () => this.#node(ino));
        node.entries.set(name, child.node);
        if (child.node.kind === "directory") open.push({ ...child, node: child.node, path: below, depth: depth + 1 });
      }
    }
    const lostAndFound = root.entries.get("lost+found" as ByteString);
    if (lostAndFound?.kind === "directory" && lostAndFound.entries.size === 0) {
      root.entries.delete("lost+found" as ByteString);
    }
    return root;
  }

  #node(ino: number): { readonly inode: Ext4Inode; readonly node: MutableExt4Directory<C> | Ext4Leaf<C> } {
    const inode = readInode(this.#volume, ino);
    if (inode.kind === "directory") return { inode, node: this.#directory(inode) };
    const known = this.#leaves.get(ino);
    if (known !== undefined) return { inode, node: known };
    const node = this.#leaf(inode);
    if (inode.links > 1) this.#leaves.set(ino, node);
    return { inode, node };
  }

  #directory(inode: Ext4Inode): MutableExt4Directory<C> {
    if (this.#directories.has(inode.ino)) {
      const what = `ext4 directory ${inode.ino}`;
      throw new FormatError("ext4.tree.directory-twice", { what, expected: "one name", found: "two" });
    }
    this.#directories.add(inode.ino);
    return { kind: "directory", meta: this.#metadataOf(inode), entries: new Map() };
  }

  #leaf(inode: Ext4Inode): Ext4Leaf<C> {
    const meta = this.#metadataOf(inode);
    switch (inode.kind) {
      case "file":
        return this.#file(inode, meta);
      case "symlink":
        return { kind: "symlink", meta, target: readLinkTarget(this.#volume, inode) };
      case "char":
      case "block":
        return { kind: inode.kind, meta, rdev: inode.rdev };
      default:
        return { kind: inode.kind as "fifo" | "socket", meta };
    }
  }

  #file(inode: Ext4Inode, meta: Ext4Metadata): Ext4File<C> {
    const { ino, isVerity, size } = inode;
    const stored = readFileRanges(this.#volume, inode);
    const ranges = toContentRanges(stored, size);
    const file = { kind: "file" as const, meta, size, content: this.#contentOf(ino, 0) };
    const isWhole = ranges.length === 1 ? covers(ranges[0] as ContentRange, size) : size === 0;
    const content = isWhole ? file : { ...file, ranges };
    if (!isVerity) return content;
    const offset = verityOffset(size);
    const last = stored.at(-1);
    const metadataSize = alignUp(Math.max(0, last === undefined ? 0 : last.offset + last.size - offset), BLOCK_SIZE);
    return { ...content, verity: { metadata: this.#contentOf(ino, offset), metadataSize } };
  }

  #metadataOf({ flags, gid, mode, modified, uid, xattrs }: Ext4Inode): Ext4Metadata {
    const chattr = flags & CHATTR_FLAGS;
    const key = [mode, uid, gid, chattr, modified.sec, modified.nsec, ...[...xattrs].flat()].join("\0");
    const known = this.#metadata.get(key);
    if (known !== undefined) return known;
    const meta: Ext4Metadata = {
      mode,
      uid,
      gid,
      mtimeSec: modified.sec,
      mtimeNsec: modified.nsec,
      xattrs,
      ...(chattr === 0 ? {} : { flags: chattr }),
    };
    this.#metadata.set(key, meta);
    return meta;
  }
}

const covers = ({ offset, size }: ContentRange, fileSize: number): boolean => offset === 0 && size >= fileSize;

/** What is stored up to the end of a file, in whole blocks of ours, neighbours joined. */
function toContentRanges(stored: readonly ContentRange[], size: number): ContentRange[] {
  const end = alignUp(size, BLOCK_SIZE);
  const ranges: { offset: number; size: number }[] = [];
  for (const range of stored) {
    const last = ranges.at(-1);
    const lastEnd = last === undefined ? 0 : last.offset + last.size;
    const from = Math.max(lastEnd, range.offset - (range.offset % BLOCK_SIZE));
    const to = Math.min(end, alignUp(range.offset + range.size, BLOCK_SIZE));
    if (from >= to) continue;
    if (last !== undefined && from === lastEnd) last.size += to - from;
    else ranges.push({ offset: from, size: to - from });
  }
  return ranges;
}
