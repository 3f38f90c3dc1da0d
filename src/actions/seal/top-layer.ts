/** The one layer that sealing adds: its entries, in tar order. */
import { createHash } from "node:crypto";
import { layerMediaType, parseBlobDigest } from "../../formats/oci/index.ts";
import { encodeTarEntry, TAR_END, type TarEntry, tarPadding } from "../../formats/tar/index.ts";
import type { ByteString } from "../../lib/bytes/byte-string.ts";
import type { Layer } from "../../model/image/image.ts";
import {
  type Content,
  type Directory,
  deviceNumbers,
  type Leaf,
  lookup,
  type Metadata,
  NO_XATTRS,
  type Tree,
} from "../../model/tree/tree.ts";
import { type Redeclared, settle } from "./normalize.ts";

export interface LayerChanges {
  /** Paths that vanish, relative to the root. */
  readonly removed: readonly string[];
  /** Files by path, relative to the root; one that exists keeps its metadata. */
  readonly written: ReadonlyMap<string, Uint8Array>;
  /** What is declared again to be the same for every tool; absent: nothing, and metadata stays as it is. */
  readonly normalized?: readonly Redeclared[];
  /** Bytes of the files among them. */
  readonly contents?: ReadonlyMap<Content, Uint8Array>;
}

export interface TopLayerEntry {
  readonly entry: TarEntry;
  readonly content?: Uint8Array;
}

/**
 * Every directory on the way to a change is declared again as it already is, so that no tool has to invent one: an
 * engine that creates a parent by itself gives it the time of day, and the digest of that is another.
 *
 * `/boot` and `/sysroot` get the whole time of `/usr`. Versions of composefs-rs differ in whether they copy its
 * nanoseconds there; this way all of them compute the same digest (bootc specification, 1.6 T5).
 *
 * @param tree the merged tree below the layer
 */
export function planTopLayer(tree: Tree, changes: LayerChanges): TopLayerEntry[] {
  const settled = changes.normalized === undefined ? (meta: Metadata) => meta : settle;
  const usr = lookup(tree, "usr") as Directory;
  const entries = new Map<string, TopLayerEntry>();
  const declare = (path: string) => {
    const existing = lookup(tree, path);
    const meta = existing?.kind === "directory" ? existing.meta : newMetadata(0o755, usr.meta);
    const time = settled(BOOT_DIRECTORIES.has(path) ? usr.meta : meta);
    entries.set(`${path}/`, { entry: { kind: "directory", ...tarMetadata(`${path}/`, settled(meta), time) } });
  };
  const normalized = changes.normalized ?? [];
  for (const path of [...changes.removed, ...changes.written.keys(), ...normalized.map((each) => each.path)]) {
    parents(path).forEach(declare);
  }
  for (const path of BOOT_DIRECTORIES) declare(path);
  for (const path of changes.removed) {
    const whiteout = whiteoutPath(path);
    const meta = newMetadata(0o644, usr.meta);
    entries.set(whiteout, { entry: { kind: "file", size: 0, ...tarMetadata(whiteout, meta, meta) } });
  }
  for (const [path, content] of changes.written) {
    const meta = settled(lookup(tree, path)?.meta ?? newMetadata(0o644, usr.meta));
    entries.set(path, { entry: { kind: "file", size: content.length, ...tarMetadata(path, meta, meta) }, content });
  }
  const links: TopLayerEntry[] = [];
  for (const { linkTo, node, path } of normalized) {
    if (node.kind === "directory") declare(path);
    else if (linkTo === undefined) entries.set(path, redeclare(path, node, changes.contents));
    else
      links.push({ entry: { kind: "hardlink", target: linkTo, ...tarMetadata(path, settle(node.meta), node.meta) } });
  }
  // A link follows what it links to.
  return [...[...entries].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry), ...links];
}

function redeclare(path: ByteString, leaf: Leaf, contents: LayerChanges["contents"]): TopLayerEntry {
  const meta = settle(leaf.meta);
  const common = tarMetadata(path, meta, meta);
  switch (leaf.kind) {
    case "file": {
      const content = leaf.content.kind === "inline" ? leaf.content.bytes : contents?.get(leaf.content);
      if (content === undefined) throw new TypeError(`no bytes for ${path}`);
      return { entry: { ...common, kind: "file", size: content.length }, content };
    }
    case "symlink":
      return { entry: { ...common, kind: "symlink", mode: 0o777, target: leaf.target } };
    case "char":
    case "block":
      return { entry: { ...common, kind: leaf.kind, ...deviceNumbers(leaf.rdev) } };
    case "fifo":
      return { entry: { ...common, kind: "fifo" } };
    case "socket":
      throw new TypeError(`a layer has no socket: ${path}`);
    default:
      return leaf satisfies never;
  }
}

/** The directories whose content is outside the digest. */
const BOOT_DIRECTORIES: ReadonlySet<string> = new Set(["boot", "sysroot"]);

/** The same layer with other bytes in some of its files. */
export function withContents(
  layer: readonly TopLayerEntry[],
  contents: ReadonlyMap<string, Uint8Array>,
): TopLayerEntry[] {
  return layer.map((each) => {
    const content = each.entry.kind === "file" ? contents.get(each.entry.path) : undefined;
    if (each.entry.kind !== "file" || content === undefined) return each;
    return { entry: { ...each.entry, size: content.length }, content };
  });
}

/** The layer as a tar, in pieces: contents are not copied. */
function* encodeTopLayer(entries: readonly TopLayerEntry[]): Generator<Uint8Array, void, void> {
  for (const { entry, content } of entries) {
    yield encodeTarEntry(entry);
    if (content === undefined || content.length === 0) continue;
    yield content;
    yield tarPadding(content.length);
  }
  yield TAR_END;
}

/**
 * The layer as one of an image. It is a plain tar: the kernel and initrd in it are compressed already, and its bytes
 * then depend on no compressor.
 *
 * @param manifestMediaType of the manifest that is to name it
 */
export function toTopLayer(entries: readonly TopLayerEntry[], index: number, manifestMediaType: string): Layer {
  const hash = createHash("sha256");
  let size = 0;
  for (const piece of encodeTopLayer(entries)) {
    hash.update(piece);
    size += piece.length;
  }
  const digest = parseBlobDigest(`sha256:${hash.digest("hex")}`, "layer");
  return {
    index,
    mediaType: layerMediaType(manifestMediaType, "none"),
    compression: "none",
    digest,
    diffId: digest,
    size,
    async *open() {
      yield* encodeTopLayer(entries);
    },
  };
}

/** `a/b/c` -> `a`, `a/b`. */
function parents(path: string): string[] {
  const names = path.split("/").slice(0, -1);
  return names.map((_, index) => names.slice(0, index + 1).join("/"));
}

function whiteoutPath(path: string): string {
  const cut = path.lastIndexOf("/") + 1;
  return `${path.slice(0, cut)}.wh.${path.slice(cut)}`;
}

/** Of something new: root's, as old as `/usr`, in whole seconds. */
function newMetadata(mode: number, usr: Metadata): Metadata {
  return { mode, uid: 0, gid: 0, mtimeSec: usr.mtimeSec, mtimeNsec: 0, xattrs: NO_XATTRS };
}

function tarMetadata(path: string, meta: Metadata, time: Metadata) {
  const { mode, uid, gid, xattrs } = meta;
  return { path: path as ByteString, mode, uid, gid, mtimeSec: time.mtimeSec, mtimeNsec: time.mtimeNsec, xattrs };
}
