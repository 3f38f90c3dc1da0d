/** Installs Debian packages into the layers of a bootable image. */
import {
  type BlobDigest,
  encodeImageConfig,
  encodeManifest,
  MEDIA_TYPE,
  type Platform,
} from "../../formats/oci/index.ts";
import { FormatError } from "../../lib/errors.ts";
import { type Progress, silent } from "../../lib/progress.ts";
import { type RunningCommand, startCommand } from "../../model/host-io/command.ts";
import { hostPlatform } from "../../model/image/host-platform.ts";
import { type ImageWriter, openImageWriter } from "../../model/image/image-writer.ts";
import { debianImageConfig, descriptionOf } from "./config.ts";
import { type LayerOutput, openLayerOutput, type StoredLayer } from "./layer-output.ts";
import { DEBIAN_LAYERS } from "./layers.ts";
import { type DebianRecipe, mmdebstrapArguments, mmdebstrapEnvironment } from "./recipe.ts";
import { splitIntoLayers } from "./split.ts";

export interface DebianImageOptions {
  /** `oci:DIR[:TAG]` or `oci-archive:FILE[:TAG]`. */
  readonly to: string;
  /** What mmdebstrap and the maintainer scripts of the packages see. */
  readonly env: Readonly<Record<string, string>>;
  /** A directory that exists, for packages once downloaded. */
  readonly packageCache?: string;
  readonly overwrite?: boolean;
  readonly signal?: AbortSignal;
  readonly progress?: Progress;
}

export interface DebianImageReport {
  readonly manifestDigest: BlobDigest;
  /** Lowest first. */
  readonly layers: readonly StoredLayer[];
}

/**
 * Builds the image: mmdebstrap installs, its root file system is cut into layers on the way, nothing of it is
 * unpacked here. The same versions of packages and the same `sourceDateEpoch` give the same bytes.
 *
 * @throws {CommandError} `command.not-found` without mmdebstrap, `command.failed` with what it said
 * @throws the refusals of `openImageWriter` and `splitIntoLayers`
 */
export async function buildDebianImage(recipe: DebianRecipe, options: DebianImageOptions): Promise<DebianImageReport> {
  const { to, overwrite = false, progress = silent, packageCache } = options;
  const signal = options.signal === undefined ? {} : { signal: options.signal };
  const cache = packageCache === undefined ? {} : { packageCache };
  await using writer = await openImageWriter(to, { overwrite, ...signal });
  await using install = startCommand(["mmdebstrap", ...mmdebstrapArguments(recipe, cache)], {
    env: { ...options.env, ...mmdebstrapEnvironment(recipe) },
    ...signal,
  });
  progress({ step: "packages.install", text: `installing Debian ${recipe.suite}` });
  const layers = await storeLayers(install, writer, recipe, progress);
  const platform = { ...hostPlatform(), ...(recipe.architecture && { architecture: recipe.architecture }) };
  const manifestDigest = await commitImage(writer, recipe, platform, layers);
  return { manifestDigest, layers };
}

async function storeLayers(
  install: RunningCommand,
  writer: ImageWriter,
  recipe: DebianRecipe,
  progress: Progress,
): Promise<readonly StoredLayer[]> {
  const outputs = DEBIAN_LAYERS.map((rule) => openLayerOutput(writer, rule));
  const options = { layers: DEBIAN_LAYERS, newest: BigInt(recipe.sourceDateEpoch) };
  let done = 0;
  try {
    await splitIntoLayers(install.stdout, options, async (layer, bytes) => {
      done += bytes.length;
      progress({ step: "layers.write", text: "writing layers", done, unit: "bytes" });
      await (outputs[layer] as LayerOutput).write(bytes);
    });
    await install.finished();
    return await Promise.all(outputs.map((output) => output.end()));
  } catch (error) {
    outputs.forEach((output) => output.destroy());
    // An archive that stops short is what a failed installation looks like from here; the program knows why.
    if (error instanceof FormatError && error.code === "tar.archive.truncated") await install.finished();
    throw error;
  }
}

async function commitImage(
  writer: ImageWriter,
  recipe: DebianRecipe,
  platform: Platform,
  layers: readonly StoredLayer[],
): Promise<BlobDigest> {
  const config = await writer.putBytes(
    encodeImageConfig(debianImageConfig(recipe, platform, layers)),
    MEDIA_TYPE.config,
  );
  const manifestBytes = encodeManifest({
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.manifest,
    config,
    layers: layers.map((layer) => layer.descriptor),
    annotations: descriptionOf(recipe),
  });
  return (await writer.commit({ manifestBytes, mediaType: MEDIA_TYPE.manifest })).digest;
}
