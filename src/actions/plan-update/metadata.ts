import type { VerityAlgorithm } from "../../formats/fsverity/index.ts";
import { encodeComposefsImage, parseComposefsFormat } from "../../model/composefs/index.ts";
import { toCanonicalTree } from "../../model/source/canonical-tree.ts";
import type { TreeSource } from "../../model/source/tree-source.ts";
import { lookup } from "../../model/tree/tree.ts";
import { measureBytes } from "./measure.ts";
import type { Measured } from "./report.ts";

/**
 * What the composefs image costs, which names every file. Changes the trees.
 *
 * @param noDeltas only tell its size
 * @returns null for what is no bootable OS
 */
export async function measureMetadata(
  held: TreeSource,
  wanted: TreeSource,
  algorithm: VerityAlgorithm,
  noDeltas: boolean,
): Promise<Measured | null> {
  const [before, after] = [await encodeMetadata(held, algorithm), await encodeMetadata(wanted, algorithm)];
  if (after === undefined) return null;
  const none = { compressed: null, delta: null };
  return { size: after.length, ...(noDeltas ? none : await measureBytes(after, before ?? new Uint8Array())) };
}

/** The composefs image that a host has of the source. Changes its tree. */
async function encodeMetadata(source: TreeSource, algorithm: VerityAlgorithm): Promise<Uint8Array | undefined> {
  if (source.erofs !== undefined) return source.erofs;
  const isBootable = ["usr", "boot", "sysroot"].every((path) => lookup(source.tree, path)?.kind === "directory");
  if (!isBootable) return undefined;
  await toCanonicalTree(source, false);
  return encodeComposefsImage(source.tree, parseComposefsFormat(`v1-${algorithm}`));
}
