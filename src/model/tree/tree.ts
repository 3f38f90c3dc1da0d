/**
 * The merged OS file tree.
 *
 * Names, link targets and extended attributes are byte strings. A hard link is two directory entries that hold the
 * same leaf object; directories have one parent. A whiteout has no kind of its own: it is a character device 0.
 *
 * @see composefs specification, section 2 (the tree model)
 */
import type { VerityAlgorithm } from "../../formats/fsverity/algorithm.ts";
import type { ByteString } from "../../lib/bytes/byte-string.ts";

export interface Metadata {
  /** Permission bits with set-id and sticky, 0..0o7777; the type is the node's kind. */
  mode: number;
  uid: number;
  gid: number;
  /** Seconds since 1970, signed 64 bits. */
  mtimeSec: bigint;
  /** 0..999_999_999. */
  mtimeNsec: number;
  /** Each name once; order is no part of the value. */
  xattrs: ReadonlyMap<ByteString, ByteString>;
}

export const NO_XATTRS: ReadonlyMap<ByteString, ByteString> = new Map();

/** Content up to this many bytes is stored in the composefs image itself; larger content is an external object. */
export const INLINE_CONTENT_MAX = 64;

/** fs-verity digests of one content, for the algorithms that were asked for. */
export type VerityDigests = { readonly [A in VerityAlgorithm]?: Uint8Array };

/** Where a file's bytes can be read again. */
export type Origin =
  | { readonly kind: "layer"; readonly layer: number /** Offset in the uncompressed tar. */; readonly offset: number }
  /** As functions of node:fs take it: text, or bytes that are not UTF-8. */
  | { readonly kind: "path"; readonly path: string | Buffer };

export type Content =
  | { readonly kind: "inline"; readonly bytes: Uint8Array }
  | { readonly kind: "external"; readonly size: bigint; readonly digests: VerityDigests; readonly origin?: Origin }
  /** Backed by an object without fs-verity; only dumpfiles have it. `path` is the object path without leading slash. */
  | { readonly kind: "unverified"; readonly size: bigint; readonly path: ByteString }
  /** A size and no content at all; only dumpfiles have it. */
  | { readonly kind: "sparse"; readonly size: bigint };

export type LeafKind =
  | { readonly kind: "file"; readonly content: Content }
  | { readonly kind: "symlink"; readonly target: ByteString }
  | { readonly kind: "char" | "block" /** Linux user-space device number, 32 bits. */; readonly rdev: number }
  | { readonly kind: "fifo" | "socket" };

export type Leaf = LeafKind & { meta: Metadata };

export type ExternalContent = Extract<Content, { kind: "external" }>;

export interface Directory {
  readonly kind: "directory";
  meta: Metadata;
  /** Unordered; iterate with `sortedEntries` where order matters. */
  readonly entries: Map<ByteString, TreeNode>;
}

export type TreeNode = Directory | Leaf;

export interface Tree {
  readonly root: Directory;
}

export function emptyDirectory(meta: Metadata): Directory {
  return { kind: "directory", meta, entries: new Map() };
}

/** Entries by unsigned bytes of their names: the order of every composefs format. */
export function sortedEntries(directory: Directory): [ByteString, TreeNode][] {
  return [...directory.entries].sort(([a], [b]) => (a < b ? -1 : 1));
}

/**
 * Finds a node by path components; symbolic links are not followed.
 *
 * @param path relative or absolute, `/` separated; empty and `.` components vanish, `..` finds nothing
 */
export function lookup(tree: Tree, path: string): TreeNode | undefined {
  let node: TreeNode = tree.root;
  for (const name of path.split("/")) {
    if (name === "" || name === ".") continue;
    if (node.kind !== "directory") return undefined;
    const next: TreeNode | undefined = node.entries.get(name as ByteString);
    if (next === undefined) return undefined;
    node = next;
  }
  return node;
}

/** Linux user-space encoding of a device number (makedev in sys/sysmacros.h), the low 32 bits. */
export function makeDevice(major: number, minor: number): number {
  return (((major & 0xfff) << 8) | (minor & 0xff) | ((minor & ~0xff) << 12)) >>> 0;
}

/** The parts that {@link makeDevice} joins. */
export function deviceNumbers(rdev: number): { readonly major: number; readonly minor: number } {
  return { major: (rdev >>> 8) & 0xfff, minor: (rdev & 0xff) | ((rdev >>> 12) & 0xfff00) };
}

export const isWhiteout = (node: TreeNode): boolean => node.kind === "char" && node.rdev === 0;
