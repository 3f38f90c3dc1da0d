import { type ByteString, byteString, showByteString } from "../src/lib/bytes/byte-string.ts";
import type { LayerEntry, LayerRecord } from "../src/model/layer/entry.ts";
import {
  type Leaf,
  type Metadata,
  NO_XATTRS,
  sortedEntries,
  type Tree,
  type TreeNode,
} from "../src/model/tree/tree.ts";

/** Metadata with what matters to a test, the rest plain. */
export function meta(given: Partial<Metadata> = {}): Metadata {
  return { mode: 0o644, uid: 0, gid: 0, mtimeSec: 0n, mtimeNsec: 0, xattrs: NO_XATTRS, ...given };
}

export function xattrs(values: Readonly<Record<string, string>>): ReadonlyMap<ByteString, ByteString> {
  return new Map(Object.entries(values).map(([name, value]) => [byteString(name), byteString(value)]));
}

const inline = (text: string) => ({ kind: "inline" as const, bytes: Buffer.from(text, "latin1") });

/** Entries of a layer, by kind. */
export const entry = {
  dir: (path: string, given?: Partial<Metadata>): LayerEntry => ({
    kind: "directory",
    path: byteString(path),
    meta: meta({ mode: 0o755, ...given }),
  }),
  file: (path: string, text = "", given?: Partial<Metadata>): LayerEntry => ({
    kind: "file",
    path: byteString(path),
    content: inline(text),
    meta: meta(given),
  }),
  link: (path: string, target: string, given?: Partial<Metadata>): LayerEntry => ({
    kind: "hardlink",
    path: byteString(path),
    target: byteString(target),
    meta: meta(given),
  }),
  symlink: (path: string, target: string): LayerEntry => ({
    kind: "symlink",
    path: byteString(path),
    target: byteString(target),
    meta: meta({ mode: 0o777 }),
  }),
  char: (path: string, rdev: number): LayerEntry => ({ kind: "char", path: byteString(path), rdev, meta: meta() }),
  fifo: (path: string): LayerEntry => ({ kind: "fifo", path: byteString(path), meta: meta() }),
};

export const layer = (...entries: LayerEntry[]): LayerRecord => ({ entries, size: 0 });

/**
 * One line a node, in byte order: path, kind, what is in it. The names of one leaf have the same `#number`.
 *
 * @param detail more about a node's metadata
 */
export function showTree(tree: Tree, detail: (meta: Metadata) => string = () => ""): string[] {
  const links = new Map<Leaf, number>();
  const show = (path: string, node: TreeNode): string[] => {
    const more = detail(node.meta);
    const line = [path, node.kind, ...contentOf(node), ...(more === "" ? [] : [more])].join(" ");
    if (node.kind !== "directory") return [line + linkNumber(node)];
    const below = sortedEntries(node).flatMap(([name, child]) =>
      show(`${path === "/" ? "" : path}/${showByteString(name)}`, child),
    );
    return [line, ...below];
  };
  const names = countNames(tree.root);
  const linkNumber = (leaf: Leaf): string => {
    if (names.get(leaf) === 1) return "";
    const number = links.get(leaf) ?? links.size + 1;
    links.set(leaf, number);
    return ` #${number}`;
  };
  return show("/", tree.root);
}

function countNames(node: TreeNode, names: Map<Leaf, number> = new Map()): ReadonlyMap<Leaf, number> {
  if (node.kind !== "directory") return names.set(node, (names.get(node) ?? 0) + 1);
  for (const child of node.entries.values()) countNames(child, names);
  return names;
}

function contentOf(node: TreeNode): string[] {
  switch (node.kind) {
    case "file":
      return node.content.kind === "inline"
        ? [Buffer.from(node.content.bytes).toString("latin1")]
        : [node.content.kind];
    case "symlink":
      return [showByteString(node.target)];
    case "char":
    case "block":
      return [String(node.rdev)];
    default:
      return [];
  }
}
