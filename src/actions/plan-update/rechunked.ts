import { compress } from "../../lib/streams/compress.ts";
import { encodeLayerTar, type Layout, measureLayerTar, planLayout, readBuild } from "../../model/chunks/index.ts";
import { openPlainLayers, type PlainImage, type PlainLayersOptions } from "../../model/layer/plain-layers.ts";
import type { ImageTree } from "../../model/source/tree-source.ts";
import type { RechunkedReport } from "./report.ts";

/** Layers that an image is cut into here, as `rechunk` does when nothing is said. */
const MAX_LAYERS = 64;

/**
 * What an update by layers would be if both images had been cut by content, the second with the first as its previous
 * build. Only the layers that differ are compressed.
 */
export async function measureRechunked(
  from: ImageTree,
  to: ImageTree,
  options: PlainLayersOptions,
): Promise<RechunkedReport> {
  await using stack = new AsyncDisposableStack();
  const open = async ({ image }: ImageTree): Promise<PlainImage> =>
    stack.use(await openPlainLayers({ ...image, [Symbol.asyncDispose]: () => Promise.resolve() }, options));
  const [before, after] = [await readBuild(from), await readBuild(to)];
  const first = planLayout(before, { maxLayers: MAX_LAYERS });
  const second = planLayout(after, {
    maxLayers: MAX_LAYERS,
    earlier: [before.signatures],
    heldLayers: layersOf(first),
  });
  const held = new Set<string>();
  const oldContents = (await open(from)).contents;
  for (const layer of first.layers) held.add((await measureLayerTar(layer, oldContents, options.signal)).diffId);
  const { contents } = await open(to);
  const fetched = { count: 0, size: 0 };
  for (const layer of second.layers) {
    if (held.has((await measureLayerTar(layer, contents, options.signal)).diffId)) continue;
    fetched.count++;
    for await (const chunk of compress(encodeLayerTar(layer, contents), "zstd")) fetched.size += chunk.length;
  }
  return { layers: second.layers.length, fetched };
}

const layersOf = ({ layers }: Layout): ReadonlyMap<string, number> =>
  new Map(layers.flatMap(({ components }, index) => components.map((name) => [name, index] as const)));
