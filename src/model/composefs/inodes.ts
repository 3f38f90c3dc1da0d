/**
 * From a tree to the list of inodes of an image: stubs, whiteouts, escaped attributes, order, link counts.
 *
 * @see composefs specification, sections 6.5 to 6.7
 */
import {
  compareByFullName,
  type ErofsContent,
  type ErofsInode,
  layoutRules,
  MODE_TYPE,
  type ValueForm,
  type Xattr,
  XattrPool,
} from "../../formats/erofs/index.ts";
import { VERITY_ALGORITHMS } from "../../formats/fsverity/index.ts";
import { type ByteString, compareByteStrings } from "../../lib/bytes/byte-string.ts";
import type { Tree, TreeNode } from "../tree/tree.ts";
import { type Content, type Directory, isWhiteout, type Leaf, type Metadata, sortedEntries } from "../tree/tree.ts";
import { DigestMap } from "./digest-map.ts";
import type { ComposefsFormat } from "./format.ts";
import { hardLinkedWhiteout, leafContent, missingDigest, NOTHING, requireName } from "./leaf-content.ts";
import * as overlay from "./overlay.ts";

/**
 * Lists the inodes of the image of a tree, in stored order.
 *
 * @throws {FormatError} when the tree has something an image cannot hold: `composefs.name.malformed`,
 *   `composefs.symlink.target-length`, `composefs.file.size`
 * @throws {PolicyError} `composefs.digest.missing`, `composefs.whiteout.hard-linked`
 */
export function listInodes(tree: Tree, format: ComposefsFormat): ErofsInode[] {
  const list = new InodeList(tree, format);
  list.walk();
  return format.version === 2 ? list.depthFirst : list.breadthFirst();
}

/** A directory in the walk. */
interface Frame {
  readonly path: string;
  readonly node: Directory;
  readonly entries: readonly (readonly [ByteString, TreeNode])[];
  readonly inode: ErofsInode;
  readonly xattrs: Xattr[];
  readonly names: ByteString[];
  readonly children: ErofsInode[];
  /** The children whose canonical name is here; the same array as `children` until a hard link differs. */
  own: ErofsInode[];
  next: number;
  subdirectories: number;
  hasWhiteout: boolean;
}

class InodeList {
  readonly depthFirst: ErofsInode[] = [];
  readonly #format: ComposefsFormat;
  readonly #root: Directory;
  readonly #pool: XattrPool;
  readonly #stubs: boolean;
  readonly #leaves = new Map<Leaf, ErofsInode>();
  readonly #own = new Map<ErofsInode, readonly ErofsInode[]>();
  readonly #objects = new DigestMap<readonly [metacopy: Xattr, redirect: Xattr]>();
  readonly #metacopy: ValueForm;
  readonly #redirectTo: ValueForm;
  readonly #xattrLists = new Map<Metadata["xattrs"], readonly Xattr[]>();

  constructor(tree: Tree, format: ComposefsFormat) {
    this.#format = format;
    this.#root = tree.root;
    this.#stubs = format.version < 2;
    this.#metacopy = overlay.metacopyForm(format.algorithm);
    this.#redirectTo = overlay.redirectForm(format.algorithm);
    this.#pool = new XattrPool({ lustrePrefix: layoutRules(format.version).lustrePrefix });
  }

  /** Depth first in byte order: a leaf's first name in this walk is its canonical one. */
  walk(): void {
    const stack = [this.#enter(this.#root, "", undefined)];
    for (let frame = stack.at(-1); frame !== undefined; frame = stack.at(-1)) {
      const entry = frame.entries[frame.next++];
      if (entry === undefined) {
        this.#leave(frame);
        stack.pop();
        continue;
      }
      const [name, node] = entry;
      requireName(name, frame.path);
      frame.names.push(name);
      if (node.kind === "directory") {
        const inner = this.#enter(node, `${frame.path}/${name}`, frame.inode);
        this.#add(frame, inner.inode, true);
        frame.subdirectories++;
        stack.push(inner);
        continue;
      }
      const known = this.#leaves.get(node);
      if (known === undefined) {
        this.#add(frame, this.#leaf(frame, name, node), true);
        continue;
      }
      if (isWhiteout(node)) throw hardLinkedWhiteout(frame.path, name);
      known.nlink++;
      this.#add(frame, known, false);
    }
  }

  breadthFirst(): ErofsInode[] {
    const list = this.depthFirst.slice(0, 1);
    // The list is its own queue: an inode that owns children is a directory whose turn has come.
    for (const inode of list) for (const child of this.#own.get(inode) ?? []) list.push(child);
    return list;
  }

  #add(frame: Frame, inode: ErofsInode, canonical: boolean): void {
    if (!canonical && frame.own === frame.children) frame.own = [...frame.children];
    if (canonical && frame.own !== frame.children) frame.own.push(inode);
    frame.children.push(inode);
  }

  #enter(node: Directory, path: string, parent: ErofsInode | undefined): Frame {
    const isRoot = parent === undefined;
    const entries = sortedEntries(isRoot && this.#stubs ? withStubs(node) : node);
    const names: ByteString[] = [];
    const children: ErofsInode[] = [];
    const xattrs = [...this.#ownXattrs(node.meta)];
    const inode = makeInode(MODE_TYPE.directory, node.meta, xattrs, NOTHING);
    inode.content = { kind: "directory", parent: parent ?? inode, names, children };
    this.depthFirst.push(inode);
    const frame: Frame = {
      path,
      node,
      entries,
      inode,
      xattrs,
      names,
      children,
      own: children,
      next: 0,
      subdirectories: 0,
      hasWhiteout: false,
    };
    return frame;
  }

  #leave(frame: Frame): void {
    const { inode, xattrs } = frame;
    inode.nlink = 2 + frame.subdirectories;
    this.#own.set(inode, frame.own);
    if (frame.hasWhiteout) {
      const markers = overlay.DIRECTORY_MARKERS[this.#format.version] ?? [];
      for (const { name, value } of markers) xattrs.push(this.#pool.get(name, value));
    }
    if (frame.node === this.#root && this.#stubs) {
      xattrs.push(this.#pool.get(overlay.ROOT_OPAQUE.name, overlay.ROOT_OPAQUE.value));
    }
    this.#order(xattrs);
  }

  #leaf(frame: Frame, name: ByteString, node: Leaf): ErofsInode {
    const content = node.kind === "file" ? this.#contentXattrs(node.content, frame.path, name) : NO_XATTRS;
    const own = this.#ownXattrs(node.meta);
    // V0 and V1 are sorted next, which own names before "trusted." save; V2 keeps this order.
    const xattrs = this.#stubs ? own.concat(content) : content.concat(own);
    const escaped = this.#stubs && isWhiteout(node) && !this.#isStub(frame, name, node.meta);
    if (escaped) {
      frame.hasWhiteout = true;
      for (const marker of overlay.WHITEOUT_MARKERS) xattrs.push(this.#pool.get(marker, overlay.EMPTY));
    }
    this.#order(xattrs);
    const type = escaped ? MODE_TYPE.file : MODE_TYPE[node.kind];
    const inode = makeInode(type, node.meta, xattrs, escaped ? NOTHING : leafContent(node, frame.path, name));
    this.#leaves.set(node, inode);
    this.depthFirst.push(inode);
    return inode;
  }

  /** V0 and V1 store an inode's xattrs by name; V2 as they were added. */
  #order(xattrs: Xattr[]): void {
    if (!this.#stubs) return;
    for (let at = 1; at < xattrs.length; at++) {
      if (compareByFullName(xattrs[at - 1] as Xattr, xattrs[at] as Xattr) > 0) {
        xattrs.sort(compareByFullName);
        return;
      }
    }
  }

  /** Trees share the maps of equal attributes where they can, and most nodes have one of a few. */
  #ownXattrs({ xattrs }: Metadata): readonly Xattr[] {
    if (xattrs.size === 0) return [];
    let own = this.#xattrLists.get(xattrs);
    if (own === undefined) {
      own = [...xattrs]
        .sort(([a], [b]) => compareByteStrings(a, b))
        .map(([name, value]) => this.#pool.get(overlay.escapeXattrName(name), value));
      this.#xattrLists.set(xattrs, own);
    }
    return own;
  }

  #contentXattrs(content: Content, path: string, name: ByteString): readonly Xattr[] {
    switch (content.kind) {
      case "inline":
        return NO_XATTRS;
      case "external": {
        const digest = content.digests[this.#format.algorithm];
        if (digest?.length !== VERITY_ALGORITHMS[this.#format.algorithm].digestSize) {
          throw missingDigest(content, this.#format, path, name);
        }
        return this.#object(digest);
      }
      case "unverified":
        return [this.#pool.get(overlay.METACOPY, overlay.EMPTY), this.#redirect(content.path)];
      case "sparse":
        return [this.#pool.get(overlay.METACOPY, overlay.EMPTY)];
      default:
        return content satisfies never;
    }
  }

  /** Metacopy and redirect; equal digests share them. */
  #object(digest: Uint8Array): readonly [Xattr, Xattr] {
    let known = this.#objects.get(digest);
    if (known === undefined) {
      known = [
        this.#pool.formed(overlay.METACOPY, digest, this.#metacopy),
        this.#pool.formed(overlay.REDIRECT, digest, this.#redirectTo),
      ];
      this.#objects.add(digest, known);
    }
    return known;
  }

  /** A path that is an object's is shared with the files that name its digest. */
  #redirect(path: ByteString): Xattr {
    const digest = Buffer.from(path.replace("/", ""), "hex");
    return digest.length === VERITY_ALGORITHMS[this.#format.algorithm].digestSize &&
      path === overlay.objectPath(digest.toString("hex"))
      ? this.#object(digest)[1]
      : this.#pool.get(overlay.REDIRECT, `/${path}` as ByteString);
  }

  /** composefs-rs tells its stubs from a tree's whiteouts by what they look like, and so do its digests. */
  #isStub(frame: Frame, name: ByteString, meta: Metadata): boolean {
    if (frame.node !== this.#root || !overlay.isStubName(name)) return false;
    const root = this.#root.meta;
    const label = root.xattrs.get(overlay.SELINUX_LABEL);
    return (
      meta.mode === STUB_MODE &&
      meta.uid === root.uid &&
      meta.gid === root.gid &&
      meta.mtimeSec === root.mtimeSec &&
      meta.mtimeNsec === root.mtimeNsec &&
      meta.xattrs.size === (label === undefined ? 0 : 1) &&
      meta.xattrs.get(overlay.SELINUX_LABEL) === label
    );
  }
}

const STUB_MODE = 0o644;
const NO_XATTRS: readonly Xattr[] = [];

/** The root with a character device 0 for every object directory name that it does not have. */
function withStubs(root: Directory): Directory {
  const label = root.meta.xattrs.get(overlay.SELINUX_LABEL);
  const xattrs = new Map(label === undefined ? [] : [[overlay.SELINUX_LABEL, label]]);
  const meta: Metadata = { ...root.meta, mode: STUB_MODE, xattrs };
  const entries = new Map(root.entries);
  for (const name of overlay.STUB_NAMES) {
    if (!entries.has(name)) entries.set(name, { kind: "char", rdev: 0, meta });
  }
  return { ...root, entries };
}

type OpenInode = { -readonly [K in keyof ErofsInode]: ErofsInode[K] };

function makeInode(type: number, meta: Metadata, xattrs: readonly Xattr[], content: ErofsContent): OpenInode {
  const { uid, gid, mtimeSec, mtimeNsec } = meta;
  const mode = type | (meta.mode & 0o7777);
  return { mode, uid, gid, mtimeSec, mtimeNsec, xattrs, content, nlink: 1, index: -1 };
}
