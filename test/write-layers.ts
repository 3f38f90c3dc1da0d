/** Layers as tars, and tars as the layers of an image. */
import {
  type BlobDigest,
  type Compression,
  type Descriptor,
  encodeImageConfig,
  encodeManifest,
  layerMediaType,
  MEDIA_TYPE,
  toBlobDigest,
} from "../src/formats/oci/index.ts";
import { encodeTarEntry, TAR_END, type TarEntry, tarPadding } from "../src/formats/tar/index.ts";
import type { ByteString } from "../src/lib/bytes/byte-string.ts";
import { openImageWriter } from "../src/model/image/image-writer.ts";
import type { LayerEntry, LayerRecord } from "../src/model/layer/entry.ts";
import { sortedEntries, type Tree, type TreeNode } from "../src/model/tree/tree.ts";
import { compress } from "./small-image.ts";

/** The tar that a record was read from, or could have been: contents are inline whatever their size. */
export function encodeLayer({ entries }: LayerRecord): Buffer {
  const parts = entries.flatMap((entry) => {
    const content = entry.kind === "file" && entry.content.kind === "inline" ? entry.content.bytes : new Uint8Array();
    return [encodeTarEntry(toTarEntry(entry, content.length)), content, tarPadding(content.length)];
  });
  return Buffer.concat([...parts, TAR_END]);
}

/** A tree as one layer: directories before what is in them, hard links after the first name. */
export function flattenTree(tree: Tree): LayerRecord {
  const entries: LayerEntry[] = [];
  const first = new Map<TreeNode, ByteString>();
  const add = (path: ByteString, node: TreeNode): void => {
    const target = first.get(node);
    if (target !== undefined) {
      entries.push({ path, meta: node.meta, kind: "hardlink", target });
      return;
    }
    first.set(node, path);
    if (node.kind === "socket") throw new TypeError("a tar has no sockets");
    if (node.kind !== "directory") {
      entries.push({ ...node, path } as LayerEntry);
      return;
    }
    entries.push({ path, meta: node.meta, kind: node.kind });
    for (const [name, child] of sortedEntries(node)) add(`${path}/${name}` as ByteString, child);
  };
  add("." as ByteString, tree.root);
  return { entries, size: 0 };
}

function toTarEntry(entry: LayerEntry, size: number): TarEntry {
  const { path, meta } = entry;
  const common = { ...meta, path };
  switch (entry.kind) {
    case "file":
      return { ...common, kind: entry.kind, size };
    case "hardlink":
    case "symlink":
      return { ...common, kind: entry.kind, target: entry.target };
    case "char":
    case "block":
      return { ...common, kind: entry.kind, ...deviceNumbers(entry.rdev) };
    case "directory":
    case "fifo":
      return { ...common, kind: entry.kind };
    default:
      return entry satisfies never;
  }
}

/** The inverse of `makeDevice`. */
const deviceNumbers = (rdev: number): { major: number; minor: number } => ({
  major: (rdev >>> 8) & 0xfff,
  minor: (rdev & 0xff) | ((rdev >>> 12) & 0xfff00),
});

const COMPRESSIONS: readonly Compression[] = ["gzip", "none", "zstd"];

/**
 * Writes an image of these tars, packed in turn in every way.
 *
 * @param history the instruction that made each layer
 */
export async function writeImageOf(
  reference: string,
  tars: readonly Uint8Array[],
  history?: readonly string[],
): Promise<void> {
  await using writer = await openImageWriter(reference);
  const diffIds: BlobDigest[] = [];
  const layers: Descriptor[] = [];
  for (const [index, tar] of tars.entries()) {
    const compression = COMPRESSIONS[index % COMPRESSIONS.length] as Compression;
    diffIds.push(toBlobDigest(tar));
    layers.push(await writer.putBytes(compress(tar, compression), layerMediaType(MEDIA_TYPE.manifest, compression)));
  }
  const rootfs = { type: "layers", diff_ids: diffIds } as const;
  const made = history === undefined ? {} : { history: history.map((line) => ({ created_by: line })) };
  const config = encodeImageConfig({ architecture: "amd64", os: "linux", config: {}, rootfs, ...made });
  const manifestBytes = encodeManifest({
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.manifest,
    config: await writer.putBytes(config, MEDIA_TYPE.config),
    layers,
  });
  await writer.commit({ manifestBytes, mediaType: MEDIA_TYPE.manifest });
}
