/**
 * From a composefs image back to the tree it was written from.
 *
 * Takes back exactly what the writer of the image's version adds: stubs, markers of whiteouts, the opaque root,
 * overlay attributes. Other tools are coarser and also drop what a tree itself had of these names.
 *
 * @see composefs specification, section 6.14
 */
import { type ErofsImage, MODE_TYPE, MODE_TYPE_MASK, openErofs, type StoredInode } from "../../formats/erofs/index.ts";
import { type ByteString, bytesToByteString, showByteString } from "../../lib/bytes/byte-string.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { FormatError } from "../../lib/errors.ts";
import type { Metadata, Tree } from "../tree/tree.ts";
import { type Content, type Directory, emptyDirectory, isWhiteout, type Leaf, type LeafKind } from "../tree/tree.ts";
import * as overlay from "./overlay.ts";

type XattrMap = Map<ByteString, ByteString>;

/**
 * @throws {FormatError} `erofs.*`, and `composefs.image.*` where the image is EROFS but none of composefs
 * @throws {UnsupportedError} `erofs.*`
 */
export function treeFromErofs(bytes: Uint8Array): Tree {
  return new ImageReader(openErofs(bytes)).read();
}

const KINDS = new Map(
  Object.entries(MODE_TYPE).map(([kind, type]) => [type as number, kind as keyof typeof MODE_TYPE]),
);
/** Bytes of a directory entry, so that many entries fit an image at most, each having bytes of its own. */
const ENTRY_SIZE_LEAST = 13;
const SYMLINK_MAX = 4095;

class ImageReader {
  readonly #image: ErofsImage;
  readonly #version: number;
  readonly #leaves = new Map<number, Leaf>();
  readonly #directories = new Set<number>();
  #entriesLeft: number;
  #contentLeft: number;

  constructor(image: ErofsImage) {
    const { composefsVersion } = image;
    if (composefsVersion === undefined) {
      throw refuse("composefs.image.magic", "EROFS image", "a composefs header", "none");
    }
    this.#image = image;
    this.#version = composefsVersion;
    this.#entriesLeft = Math.floor(image.size / ENTRY_SIZE_LEAST);
    this.#contentLeft = image.size;
  }

  read(): Tree {
    const rootInode = this.#image.inode(this.#image.superblock.rootNid);
    const root = this.#directory(rootInode, "/");
    const queue = [{ inode: rootInode, node: root, path: "" }];
    for (const { inode, node, path } of queue) {
      let hasWhiteout = false;
      for (const { name, nid } of this.#entries(inode, path)) {
        const childPath = `${path}/${name}`;
        const child = this.#image.inode(nid);
        if ((child.mode & MODE_TYPE_MASK) === MODE_TYPE.directory) {
          const directory = this.#directory(child, childPath);
          node.entries.set(name, directory);
          queue.push({ inode: child, node: directory, path: childPath });
          continue;
        }
        const { leaf, escaped } = this.#leaf(child, childPath);
        hasWhiteout ||= escaped;
        if (node === root && this.#version < 2 && !escaped && overlay.isStubName(name) && isWhiteout(leaf)) continue;
        node.entries.set(name, leaf);
      }
      node.meta = { ...node.meta, xattrs: this.#directoryXattrs(inode, node === root, hasWhiteout) };
    }
    return { root };
  }

  #entries(inode: StoredInode, path: string): { name: ByteString; nid: number }[] {
    const entries = this.#image.entries(inode);
    this.#entriesLeft -= entries.length;
    if (this.#entriesLeft < 0) {
      throw refuse("composefs.image.too-many-entries", show(path), "as many entries as fit the image", "more");
    }
    return entries.filter(({ name }) => name !== "." && name !== "..");
  }

  #directory(inode: StoredInode, path: string): Directory {
    if ((inode.mode & MODE_TYPE_MASK) !== MODE_TYPE.directory) {
      throw refuse("composefs.image.root", show(path), "a directory", `mode 0${inode.mode.toString(8)}`);
    }
    if (this.#directories.has(inode.nid)) {
      throw refuse("composefs.image.directory-twice", show(path), "a directory in one place", "one met before");
    }
    this.#directories.add(inode.nid);
    return emptyDirectory(metadata(inode, new Map()));
  }

  #directoryXattrs(inode: StoredInode, isRoot: boolean, hasWhiteout: boolean): XattrMap {
    const stored = this.#image.xattrs(inode);
    const markers = hasWhiteout ? (overlay.DIRECTORY_MARKERS[this.#version] ?? []) : [];
    for (const { name, value } of markers) removeOne(stored, name, value);
    if (isRoot && this.#version < 2) removeOne(stored, overlay.ROOT_OPAQUE.name, overlay.ROOT_OPAQUE.value);
    return unescapeXattrs(stored);
  }

  #leaf(inode: StoredInode, path: string): { readonly leaf: Leaf; readonly escaped: boolean } {
    const known = this.#leaves.get(inode.nid);
    if (known !== undefined) {
      if (isWhiteout(known))
        throw refuse("composefs.image.whiteout-twice", show(path), "a whiteout with one name", "more");
      return { leaf: known, escaped: false };
    }
    const stored = this.#image.xattrs(inode);
    const kind = KINDS.get(inode.mode & MODE_TYPE_MASK);
    const escaped = kind === "file" && this.#version < 2 && isEscapedWhiteout(inode, stored);
    if (escaped) for (const name of overlay.WHITEOUT_MARKERS) removeOne(stored, name, overlay.EMPTY);
    const node: LeafKind = escaped ? { kind: "char", rdev: 0 } : this.#node(inode, kind, stored, path);
    const leaf: Leaf = { ...node, meta: metadata(inode, unescapeXattrs(stored)) };
    this.#leaves.set(inode.nid, leaf);
    return { leaf, escaped };
  }

  #node(inode: StoredInode, kind: string | undefined, stored: readonly Pair[], path: string): LeafKind {
    switch (kind) {
      case "file":
        return { kind, content: this.#content(inode, stored, path) };
      case "symlink":
        return { kind, target: bytesToByteString(this.#bytes(inode, SYMLINK_MAX)) };
      case "char":
      case "block":
        return { kind, rdev: inode.union };
      case "fifo":
      case "socket":
        return { kind };
      default:
        throw new TypeError(`mode ${inode.mode}`);
    }
  }

  #content(inode: StoredInode, stored: readonly Pair[], path: string): Content {
    const metacopy = stored.find(({ name }) => name === overlay.METACOPY)?.value;
    if (metacopy === undefined) {
      if (inode.layout === "chunk-based") {
        throw refuse(
          "composefs.image.no-metacopy",
          show(path),
          `xattr ${overlay.METACOPY} on a file without bytes`,
          "none",
        );
      }
      return { kind: "inline", bytes: Uint8Array.from(this.#bytes(inode, this.#contentLeft)) };
    }
    const redirect = stored.find(({ name }) => name === overlay.REDIRECT)?.value;
    const { size } = inode;
    if (metacopy.length === 0) {
      if (redirect === undefined) return { kind: "sparse", size };
      return { kind: "unverified", size, path: redirect.replace(/^\//, "") as ByteString };
    }
    const parsed = overlay.parseMetacopy(metacopy);
    if (parsed === undefined) {
      throw refuse(
        "composefs.image.metacopy",
        show(path),
        "a metacopy xattr with a digest",
        `${metacopy.length} bytes`,
      );
    }
    const digest = Uint8Array.from(parsed.digest);
    const object = overlay.objectPath(toHex(digest));
    if (redirect !== `/${object}`) {
      throw refuse("composefs.image.redirect", show(path), `a redirect to /${object}`, show(redirect ?? ""));
    }
    return { kind: "external", size, digests: { [parsed.algorithm]: digest } };
  }

  #bytes(inode: StoredInode, limit: number): Uint8Array {
    const bytes = this.#image.content(inode, limit);
    this.#contentLeft = Math.max(0, this.#contentLeft - bytes.length);
    return bytes;
  }
}

interface Pair {
  readonly name: ByteString;
  readonly value: ByteString;
}

function metadata(inode: StoredInode, xattrs: XattrMap): Metadata {
  const { uid, gid, mtimeSec, mtimeNsec } = inode;
  return { mode: inode.mode & 0o7777, uid, gid, mtimeSec, mtimeNsec, xattrs };
}

function isEscapedWhiteout(inode: StoredInode, stored: readonly Pair[]): boolean {
  if (inode.size !== 0n || stored.length < overlay.WHITEOUT_MARKERS.length) return false;
  return overlay.WHITEOUT_MARKERS.every((marker) => stored.some(({ name, value }) => name === marker && value === ""));
}

function removeOne(stored: Pair[], name: ByteString, value: ByteString): void {
  const at = stored.findIndex((pair) => pair.name === name && pair.value === value);
  if (at !== -1) stored.splice(at, 1);
}

function unescapeXattrs(stored: readonly Pair[]): XattrMap {
  const xattrs: XattrMap = new Map();
  for (const { name, value } of stored) {
    const own = overlay.unescapeXattrName(name);
    if (own !== undefined) xattrs.set(own, value);
  }
  return xattrs;
}

const show = (path: string): string => `"${showByteString(path.slice(-80) as ByteString)}"`;

function refuse(code: string, what: string, expected: string, found: string): FormatError {
  return new FormatError(code, { what, expected, found });
}
