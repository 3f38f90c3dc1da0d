import { type ByteString, showByteString } from "../../lib/bytes/byte-string.ts";
import { FormatError, quote } from "../../lib/errors.ts";
import type { LayerEntry, LayerRecord } from "../layer/entry.ts";
import type { TreeHistory } from "./history.ts";
import {
  type Directory,
  emptyDirectory,
  type Leaf,
  type Metadata,
  NO_XATTRS,
  type Tree,
  type TreeNode,
} from "./tree.ts";

export interface ApplyOptions {
  /** Is told which layer brought what. */
  readonly history?: TreeHistory;
  /**
   * What to do about a directory that entries lie below and no entry declares. Default: `refuse`, as composefs-rs.
   * `invent` gives it mode 0755, owner 0:0 and time 0; every tool that makes such directories has its own idea.
   */
  readonly missingParents?: "refuse" | "invent";
  /** Is told the path of each directory that was invented, and the layer that has entries in it. */
  readonly onInvented?: (path: ByteString, layer: number) => void;
}

/** Directories inside each other. A safety limit for whoever walks a tree: a path of PATH_MAX bytes has 2048. */
export const MAX_DEPTH = 2048;

const WHITEOUT_PREFIX = ".wh.";
const OPAQUE_MARKER = ".wh..wh..opq";

/** The tree that no layer has touched yet; its root has no rights and no time until an entry or `/usr` gives them. */
export function emptyTree(): Tree {
  return { root: emptyDirectory({ mode: 0, uid: 0, gid: 0, mtimeSec: 0n, mtimeNsec: 0, xattrs: NO_XATTRS }) };
}

/** The tree of an image: its layers one on another, lowest first. */
export function treeFromLayers(records: Iterable<LayerRecord>, options?: ApplyOptions): Tree {
  const tree = emptyTree();
  let layer = 0;
  for (const record of records) applyLayer(tree, record, layer++, options);
  return tree;
}

/**
 * Applies the entries of one layer to a tree, in their order; whiteouts act where they stand in it.
 *
 * The tree takes the `Metadata` and `Content` objects of the record as they are. Nothing here or in the transforms
 * changes such an object, so a record can be applied again.
 *
 * @param layerIndex 0 is the lowest; for messages and the history
 * @throws {FormatError} `tree.parent-missing`, `tree.parent-not-directory`, `tree.path-dotdot`, `tree.path-too-deep`,
 *   `tree.root-not-directory`, `tree.hardlink-target-missing`, `tree.hardlink-target-directory`; the tree is then
 *   left with the entries before
 * @see composefs specification, section 3.3
 */
export function applyLayer(tree: Tree, record: LayerRecord, layerIndex: number, options: ApplyOptions = {}): void {
  for (const entry of record.entries) {
    const changed = applyEntry(tree, entry, layerIndex, options);
    if (changed !== undefined) options.history?.declare(changed, layerIndex);
  }
}

/** @returns the node whose content or metadata comes from the entry, if there is one */
function applyEntry(tree: Tree, entry: LayerEntry, layer: number, options: ApplyOptions): TreeNode | undefined {
  const path = components(entry.path);
  const name = path.pop();
  // A path that ends in ".." has no last component either; the reference takes it for the root.
  if (name === undefined || name === "..") return setRoot(tree, entry, layer);

  const linked = entry.kind === "hardlink" ? linkTarget(tree, entry, layer) : undefined;
  const parent = parentDirectory(tree, path, entry, layer, options);

  if (name.startsWith(WHITEOUT_PREFIX)) {
    if (name === OPAQUE_MARKER) parent.entries.clear();
    else parent.entries.delete(name.slice(WHITEOUT_PREFIX.length) as ByteString);
    return undefined;
  }

  const before = parent.entries.get(name);
  if (entry.kind === "directory" && before?.kind === "directory") {
    before.meta = entry.meta;
    return before;
  }
  const node = linked ?? newNode(entry);
  parent.entries.set(name, node);
  return linked === undefined ? node : undefined;
}

function setRoot(tree: Tree, entry: LayerEntry, layer: number): TreeNode {
  if (entry.kind !== "directory") {
    throw refusal("tree.root-not-directory", entry, layer, { expected: "a directory", found: `a ${entry.kind}` });
  }
  tree.root.meta = entry.meta;
  return tree.root;
}

function newNode(entry: LayerEntry): TreeNode {
  switch (entry.kind) {
    case "directory":
      return emptyDirectory(entry.meta);
    case "file":
      return { kind: "file", content: entry.content, meta: entry.meta };
    case "symlink":
      return { kind: "symlink", target: entry.target, meta: entry.meta };
    case "char":
    case "block":
      return { kind: entry.kind, rdev: entry.rdev, meta: entry.meta };
    case "fifo":
      return { kind: "fifo", meta: entry.meta };
    case "hardlink":
      throw new TypeError("a hard link makes no node");
    default:
      return entry satisfies never;
  }
}

/** Looked up in the tree as it is now, so a link may reach into the layers below. */
function linkTarget(tree: Tree, entry: LayerEntry & { kind: "hardlink" }, layer: number): Leaf {
  const expected = "an entry of this layer before it or of a layer below";
  let node: TreeNode | undefined = tree.root;
  for (const name of components(entry.target)) {
    if (name === "..") throw refusal("tree.path-dotdot", entry, layer, { expected: "a link without ..", found: ".." });
    node = node?.kind === "directory" ? node.entries.get(name) : undefined;
  }
  const target = quote(showByteString(entry.target));
  if (node === undefined) {
    throw refusal("tree.hardlink-target-missing", entry, layer, {
      expected,
      found: `a hard link to nothing, ${target}`,
    });
  }
  if (node.kind === "directory") {
    throw refusal("tree.hardlink-target-directory", entry, layer, {
      expected,
      found: `a hard link to a directory, ${target}`,
    });
  }
  return node;
}

/** Nobody may seal a tree with invented parents: their owner, mode and time would be ours, and with them the digest. */
const INVENTED: Metadata = { mode: 0o755, uid: 0, gid: 0, mtimeSec: 0n, mtimeNsec: 0, xattrs: NO_XATTRS };

function parentDirectory(
  tree: Tree,
  path: readonly ByteString[],
  entry: LayerEntry,
  layer: number,
  { history, missingParents = "refuse", onInvented }: ApplyOptions,
): Directory {
  if (path.includes(".." as ByteString)) {
    throw refusal("tree.path-dotdot", entry, layer, { expected: "a path without ..", found: ".." });
  }
  if (path.length >= MAX_DEPTH) {
    const found = `${path.length + 1} components`;
    throw refusal("tree.path-too-deep", entry, layer, { expected: `at most ${MAX_DEPTH} components`, found });
  }
  let directory = tree.root;
  for (const [depth, name] of path.entries()) {
    let next = directory.entries.get(name);
    if (next === undefined && missingParents === "invent") {
      next = emptyDirectory(INVENTED);
      directory.entries.set(name, next);
      onInvented?.(path.slice(0, depth + 1).join("/") as ByteString, layer);
    }
    if (next?.kind !== "directory") throw badParent(next, path.slice(0, depth + 1), entry, layer);
    history?.pass(next, layer);
    directory = next;
  }
  return directory;
}

function badParent(node: Leaf | undefined, path: readonly ByteString[], entry: LayerEntry, layer: number): FormatError {
  const parent = showByteString(path.join("/") as ByteString);
  if (node !== undefined) {
    const found = `${quote(parent)}, a ${node.kind}`;
    const hint = `name the entry by the real path of its directory in layer ${layer}; links are not followed`;
    const mismatch = { expected: "a directory above it", found };
    return refusal("tree.parent-not-directory", entry, layer, mismatch, { hint, parent });
  }
  const hint = `add an entry for the directory ${quote(parent)} to layer ${layer} before it, or to a layer below; an engine that writes layers with all their parents (buildah, podman, docker buildkit) does it`;
  const mismatch = { expected: "its parent in this layer or one below", found: `no directory ${quote(parent)}` };
  return refusal("tree.parent-missing", entry, layer, mismatch, { hint, parent });
}

/** Components of a path in a tar: empty ones and `.` vanish. */
function components(path: ByteString): ByteString[] {
  return path.split("/").filter((name) => name !== "" && name !== ".") as ByteString[];
}

function refusal(
  code: string,
  entry: LayerEntry,
  layer: number,
  mismatch: { readonly expected: string; readonly found: string },
  { hint, ...data }: { readonly hint?: string; readonly parent?: string } = {},
): FormatError {
  const path = showByteString(entry.path);
  return new FormatError(
    code,
    { what: `layer ${layer}: entry ${quote(path)}`, ...mismatch },
    { data: { layer, path, ...data }, ...(hint === undefined ? {} : { hint }) },
  );
}
