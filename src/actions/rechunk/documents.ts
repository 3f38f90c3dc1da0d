/** Config and manifest of the new image: those of the source, with other layers. */
import type { Descriptor, HistoryEntry, ImageConfig, Manifest } from "../../formats/oci/index.ts";
import type { Image, Layer } from "../../model/image/image.ts";
import type { RechunkedLayer } from "./report.ts";

/** What the lines of our layers are known by, in a history. */
const CREATED_BY = "sealwright rechunk";

/** Names of components in one line of a history. */
const MOST_NAMES = 12;

/** Whether a layer was cut here. */
export const isCutHere = ({ createdBy }: Layer): boolean => createdBy === CREATED_BY;

/** The lines of the source stay, as of no layer; those of an earlier cut are gone with its layers. */
export function rechunkedConfig(
  { config }: Image,
  layers: readonly RechunkedLayer[],
  buildTime: Date | undefined,
): ImageConfig {
  const created = buildTime === undefined ? {} : { created: buildTime.toISOString().replace(/\.\d+Z$/, "Z") };
  const before = (config.history ?? []).filter(({ created_by: line }) => line !== CREATED_BY);
  const time = created.created ?? config.created;
  return {
    ...config,
    ...created,
    rootfs: { ...config.rootfs, diff_ids: layers.map(({ diffId }) => diffId) },
    history: [
      ...before.map((line): HistoryEntry => ({ ...line, empty_layer: true })),
      ...layers.map(
        (layer): HistoryEntry => ({
          ...(time ? { created: time } : {}),
          created_by: CREATED_BY,
          comment: describeLayer(layer),
        }),
      ),
    ],
  };
}

function describeLayer({ components }: RechunkedLayer): string {
  if (components.length === 0) return "directories and /boot";
  const more = components.length - MOST_NAMES;
  return [...components.slice(0, MOST_NAMES), ...(more > 0 ? [`and ${more} more`] : [])].join(", ");
}

export function rechunkedManifest(
  { manifest }: Image,
  config: Descriptor,
  layers: readonly RechunkedLayer[],
): Manifest {
  return {
    ...manifest,
    config: { ...manifest.config, digest: config.digest, size: config.size },
    layers: layers.map(({ digest, mediaType, size }) => ({ mediaType, digest, size })),
  };
}
