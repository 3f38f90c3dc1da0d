/** Builds before this one: how often things change, the layout that hosts have, and the blobs. */
import { type Build, layersOfComponents, readBuild } from "../../model/chunks/index.ts";
import type { Image, Layer } from "../../model/image/image.ts";
import { openImage } from "../../model/image/open-image.ts";
import { readImage, type SourceOptions } from "../../model/source/tree-source.ts";
import { TreeHistory } from "../../model/tree/history.ts";
import { isCutHere } from "./documents.ts";

export interface PreviousBuild {
  readonly image: Image;
  readonly build: Build;
  /** Layer of each component, where the image was cut by us. */
  readonly layout?: ReadonlyMap<string, number>;
}

/**
 * Reads earlier images, each as far as its layers are not known already. The caller disposes of them: their blobs may
 * be wanted. Of an image that was cut here and got more layers since, by sealing, only the former are looked at: what is
 * compared with them has not been sealed yet, or was cut afterwards.
 *
 * @param names newest first
 */
export async function readPrevious(
  names: readonly string[],
  reading: SourceOptions,
  stack: AsyncDisposableStack,
): Promise<PreviousBuild[]> {
  const builds: PreviousBuild[] = [];
  for (const name of names) {
    const { platform, registries, signal } = reading;
    const image = await openImage(name, { registries, ...(platform && { platform }), ...(signal && { signal }) });
    const ours = image.layers.filter(isCutHere);
    const history = new TreeHistory();
    const below = ours.length === 0 ? image : { ...image, layers: ours };
    const build = await readBuild(stack.use(await readImage(below, { ...reading, apply: { history } })));
    builds.push({ image, build, ...(ours.length === 0 ? {} : { layout: layersOfComponents(build, history) }) });
  }
  return builds;
}

/** A layer that is stored somewhere, and the name of the image that has it. */
export interface StoredLayer {
  readonly layer: Layer;
  readonly image: string;
}

/** Layers by diff ID: the same tar need not be packed again. */
export function layersByDiffId(images: readonly Image[]): ReadonlyMap<string, StoredLayer> {
  const layers = new Map<string, StoredLayer>();
  for (const image of images) {
    for (const layer of image.layers) {
      if (!layers.has(layer.diffId)) layers.set(layer.diffId, { layer, image: image.name });
    }
  }
  return layers;
}
