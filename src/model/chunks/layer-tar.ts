/**
 * The tar of a layer that is cut by content.
 *
 *     layers of components   the way to an entry, then the entry: owner and mode of a directory as they are, its time 0
 *     last layer             every directory as it is, and what is below /boot
 *
 * A directory's time changes with whatever is put into it, so a layer that told it would change with every build; but
 * an engine that stacks layers on each other takes a directory's owner and mode from the topmost layer that has it, and
 * one that finds none makes them up. This way a layer has the bytes of its components alone, each layer can stand where
 * it is, and the last word on every directory is right to the nanosecond.
 */
import { createHash } from "node:crypto";
import { type BlobDigest, parseBlobDigest } from "../../formats/oci/index.ts";
import { encodeTarEntry, TAR_END, type TarEntry, tarPadding } from "../../formats/tar/index.ts";
import type { ByteString } from "../../lib/bytes/byte-string.ts";
import { throwIfInterrupted } from "../host-io/interrupt.ts";
import type { PlainContents } from "../layer/plain-layers.ts";
import { type Directory, deviceNumbers, type Metadata, NO_XATTRS } from "../tree/tree.ts";
import { contentSize, type PlacedEntry } from "./components.ts";

/** Bytes that are handed on at a time: a compressor costs a round through other threads for each. */
const CHUNK_SIZE = 1 << 18;

export interface LayerTar {
  /** In order; directories among them as they are, others are put before what is in them. */
  readonly entries: readonly PlacedEntry[];
  /** Of the whole tree, by path. */
  readonly directories: ReadonlyMap<ByteString, Directory>;
}

/** The tar, in chunks that are valid until the next pull. Contents are read as they come. */
export async function* encodeLayerTar(
  { directories, entries }: LayerTar,
  contents: PlainContents,
): AsyncGenerator<Uint8Array, void, void> {
  const chunk = new Uint8Array(CHUNK_SIZE);
  let fill = 0;
  const reader = contents.open();
  for await (const piece of pieces()) {
    for (let at = 0; at < piece.length; ) {
      const part = piece.subarray(at, at + CHUNK_SIZE - fill);
      chunk.set(part, fill);
      fill += part.length;
      at += part.length;
      if (fill < CHUNK_SIZE) continue;
      yield chunk;
      fill = 0;
    }
  }
  if (fill > 0) yield chunk.subarray(0, fill);

  async function* pieces(): AsyncGenerator<Uint8Array, void, void> {
    const there = new Set<string>();
    for (const entry of entries) {
      for (const path of parentsOf(entry.path)) {
        if (there.has(path)) continue;
        there.add(path);
        yield encodeTarEntry(bareDirectory(path as ByteString, directories.get(path as ByteString) as Directory));
      }
      if (entry.node.kind === "directory") there.add(entry.path);
      yield encodePlacedEntry(entry);
      const size = contentSize(entry.node);
      if (entry.node.kind !== "file" || entry.linkTo !== undefined || size === 0) continue;
      yield* reader.stream(entry.node.content);
      yield tarPadding(size);
    }
    yield TAR_END;
  }
}

/** Makes a tar for its digest and its size alone. */
export async function measureLayerTar(
  layer: LayerTar,
  contents: PlainContents,
  signal?: AbortSignal,
): Promise<{ readonly diffId: BlobDigest; readonly tarSize: number }> {
  const hash = createHash("sha256");
  let tarSize = 0;
  for await (const chunk of encodeLayerTar(layer, contents)) {
    throwIfInterrupted(signal);
    hash.update(chunk);
    tarSize += chunk.length;
  }
  return { diffId: parseBlobDigest(`sha256:${hash.digest("hex")}`, "layer"), tarSize };
}

/** The header of an entry: all of it but its content. */
export const encodePlacedEntry = (entry: PlacedEntry): Uint8Array => encodeTarEntry(toTarEntry(entry));

function toTarEntry({ linkTo, node, path }: PlacedEntry): TarEntry {
  const common = { ...node.meta, path };
  if (linkTo !== undefined) return { ...common, kind: "hardlink", target: linkTo, xattrs: NO_XATTRS };
  switch (node.kind) {
    case "directory":
      return { ...common, kind: "directory", path: (path === "" ? "./" : `${path}/`) as ByteString };
    case "file":
      return { ...common, kind: "file", size: contentSize(node) };
    case "symlink":
      return { ...common, kind: "symlink", target: node.target };
    case "char":
    case "block":
      return { ...common, kind: node.kind, ...deviceNumbers(node.rdev) };
    case "fifo":
      return { ...common, kind: "fifo" };
    case "socket":
      throw new TypeError(`a layer has no socket: ${path}`);
    default:
      return node satisfies never;
  }
}

function bareDirectory(path: ByteString, { meta }: Directory): TarEntry {
  const { gid, mode, uid } = meta;
  const bare: Metadata = { mode, uid, gid, mtimeSec: 0n, mtimeNsec: 0, xattrs: NO_XATTRS };
  return { ...bare, kind: "directory", path: `${path}/` as ByteString };
}

/** `a/b/c` -> `a`, `a/b`. */
function parentsOf(path: string): string[] {
  const parents: string[] = [];
  for (let at = path.indexOf("/"); at !== -1; at = path.indexOf("/", at + 1)) parents.push(path.slice(0, at));
  return parents;
}
