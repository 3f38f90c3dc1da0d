/** The new layers give the tree of the source, to the byte: known before anything of them is stored. */
import { createHash } from "node:crypto";
import type { BlobDigest } from "../../formats/oci/index.ts";
import { VerificationError } from "../../lib/errors.ts";
import { encodeLayerTar, measureLayerTar, type PlannedLayer } from "../../model/chunks/index.ts";
import { dumpTree } from "../../model/composefs/index.ts";
import type { Layer } from "../../model/image/image.ts";
import { openLayerCache } from "../../model/layer/cache.ts";
import type { PlainContents } from "../../model/layer/plain-layers.ts";
import { scanLayers } from "../../model/layer/scan.ts";
import type { SourceOptions } from "../../model/source/tree-source.ts";
import { treeFromLayers } from "../../model/tree/apply.ts";
import type { Tree } from "../../model/tree/tree.ts";

/** A planned layer, once its tar was made. */
export interface MeasuredLayer {
  readonly plan: PlannedLayer;
  readonly diffId: BlobDigest;
  readonly tarSize: number;
}

/** Makes each tar once, for its digest. */
export async function measureLayers(
  plans: readonly PlannedLayer[],
  contents: PlainContents,
  { progress, signal }: SourceOptions,
): Promise<MeasuredLayer[]> {
  const measured: MeasuredLayer[] = [];
  for (const plan of plans) {
    measured.push({ plan, ...(await measureLayerTar(plan, contents, signal)) });
    const [done, total] = [measured.length, plans.length];
    progress?.({ step: "rechunk.measure", text: "cutting layers", done, total, unit: "layers" });
  }
  return measured;
}

/**
 * Reads the tars as anybody would who gets the image, and compares the whole tree: every name, owner, mode, time, link,
 * extended attribute and content, /boot and /run included. Whatever digest follows from one follows from the other.
 *
 * @throws {VerificationError} `rechunk.tree-differs`
 */
export async function requireSameTree(
  tree: Tree,
  layers: readonly MeasuredLayer[],
  contents: PlainContents,
  { algorithms, cacheDirectory, pool, signal }: SourceOptions,
): Promise<void> {
  const [algorithm] = algorithms;
  if (algorithm === undefined) throw new TypeError("no algorithm to compare with");
  const cache = cacheDirectory === undefined ? undefined : await openLayerCache(cacheDirectory);
  const asLayers = layers.map(
    ({ diffId, plan, tarSize }, index): Layer => ({
      index,
      mediaType: "",
      compression: "none",
      digest: diffId,
      diffId,
      size: tarSize,
      open: () => encodeLayerTar(plan, contents),
    }),
  );
  const more = { ...(cache && { cache }), ...(pool && { pool }), ...(signal && { signal }) };
  const records = await scanLayers(asLayers, { algorithms, ...more });
  const [expected, found] = [tree, treeFromLayers(records)].map((each) => hashDump(each, algorithm));
  if (found === expected) return;
  throw new VerificationError("rechunk.tree-differs", "the new layers do not give the tree of the image", {
    data: { found, expected },
    hint: "this is a fault of Sealwright or of the disk; nothing was published",
  });
}

function hashDump(tree: Tree, algorithm: SourceOptions["algorithms"][number]): string {
  const hash = createHash("sha256");
  for (const chunk of dumpTree(tree, algorithm)) hash.update(chunk);
  return hash.digest("hex");
}
