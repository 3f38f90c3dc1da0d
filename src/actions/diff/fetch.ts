/** What a host that holds A would have to fetch for B. */
import type { VerityAlgorithm } from "../../formats/fsverity/index.ts";
import { type ByteString, bytesToByteString } from "../../lib/bytes/byte-string.ts";
import type { Image } from "../../model/image/image.ts";
import type { TreeSource } from "../../model/source/tree-source.ts";
import type { Content, Tree } from "../../model/tree/tree.ts";
import { nodesOf } from "../../model/tree/walk.ts";
import { objectOf, requireDigest, sizeOf } from "./content.ts";
import type { FetchReport, Transfer } from "./report.ts";

export function reportFetch(a: TreeSource, b: TreeSource, algorithm: VerityAlgorithm): FetchReport {
  return {
    layers: a.image === undefined || b.image === undefined ? null : compareLayers(a.image, b.image),
    objects: transferOf(objectsIn(a.tree, algorithm), objectsIn(b.tree, algorithm)),
  };
}

/** By blob digest: a registry knows nothing else, so the same tar packed in another way is fetched again. */
function compareLayers(a: Image, b: Image): NonNullable<FetchReport["layers"]> {
  const held = layerSizes(a);
  const list = b.layers.map(({ createdBy, digest, size }) => ({
    digest,
    size,
    reused: held.has(digest),
    ...(createdBy === undefined ? {} : { createdBy }),
  }));
  return { ...transferOf(held, layerSizes(b)), list };
}

const layerSizes = ({ layers }: Image): ReadonlyMap<string, number> =>
  new Map(layers.map(({ digest, size }) => [digest, size]));

/** Sizes by object, of everything that the tree has before /boot is emptied: UKIs are stored as objects, too. */
function objectsIn(tree: Tree, algorithm: VerityAlgorithm): ReadonlyMap<string, number> {
  const objects = new Map<string, number>();
  for (const node of nodesOf(tree.root)) {
    const name = node.kind === "file" ? objectName(node.content, algorithm) : undefined;
    if (node.kind === "file" && name !== undefined) objects.set(name, sizeOf(node.content));
  }
  return objects;
}

/** The digest as bytes in a string: making hex of each would take longer than all the rest here. */
function objectName(content: Content, algorithm: VerityAlgorithm): ByteString | undefined {
  if (content.kind === "external") return bytesToByteString(requireDigest(content, algorithm));
  return content.kind === "unverified"
    ? bytesToByteString(Buffer.from(objectOf(content, algorithm), "hex"))
    : undefined;
}

function transferOf(held: ReadonlyMap<string, number>, wanted: ReadonlyMap<string, number>): Transfer {
  const total = { count: wanted.size, size: 0 };
  const reused = { count: 0, size: 0 };
  for (const [name, size] of wanted) {
    total.size += size;
    if (!held.has(name)) continue;
    reused.count += 1;
    reused.size += size;
  }
  const fetched = { count: total.count - reused.count, size: total.size - reused.size };
  return { total, reused, fetched, reusedPercent: total.size === 0 ? 100 : (100 * reused.size) / total.size };
}
