import type { BlobDigest, ImageConfig, Platform } from "../../formats/oci/index.ts";
import type { LayerRule } from "./layers.ts";
import type { DebianRecipe } from "./recipe.ts";

export interface DebianLayer {
  readonly rule: LayerRule;
  readonly diffId: BlobDigest;
}

/** RFC 3339 in whole seconds. */
export function creationTime({ sourceDateEpoch }: DebianRecipe): string {
  return new Date(sourceDateEpoch * 1000).toISOString().replace(".000Z", "Z");
}

/** What the image says of itself; hosts read the version from the config or from the manifest, so it is in both. */
export function descriptionOf(recipe: DebianRecipe): Readonly<Record<string, string>> {
  const created = creationTime(recipe);
  return {
    "org.opencontainers.image.created": created,
    "org.opencontainers.image.title": `Debian ${recipe.suite}`,
    "org.opencontainers.image.version": `${recipe.suite}-${created.slice(0, 10).replaceAll("-", "")}`,
  };
}

/**
 * The config of a bootable image: the labels bootc and image builders look for, and a system as its command.
 *
 * @see bootc specification, 1.1
 */
export function debianImageConfig(
  recipe: DebianRecipe,
  platform: Platform,
  layers: readonly DebianLayer[],
): ImageConfig {
  const created = creationTime(recipe);
  return {
    architecture: platform.architecture,
    os: platform.os,
    created,
    config: {
      Cmd: ["/sbin/init"],
      Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "container=oci"],
      Labels: { "containers.bootc": "1", "ostree.bootable": "1", ...descriptionOf(recipe) },
      StopSignal: "SIGRTMIN+3",
    },
    rootfs: { type: "layers", diff_ids: layers.map((layer) => layer.diffId) },
    history: layers.map(({ rule }) => ({
      created,
      created_by: `sealwright: Debian ${recipe.suite}, layer ${rule.name}`,
      comment: rule.comment,
    })),
  };
}
