/** Config and manifest of the sealed image: those of the base, with one layer more. */
import type { Descriptor, ImageConfig, Manifest } from "../../formats/oci/index.ts";
import type { Image, Layer } from "../../model/image/image.ts";
import type { FormatDigest } from "./digest-formats.ts";

/** What installers and image builders look for on a bootable image (bootc specification, section 1.1). */
const BOOTABLE_LABELS = { "containers.bootc": "1", "ostree.bootable": "1" };

/** `bootc status` takes the version from the label or from the annotation, depending on the backend. */
const VERSION_KEY = "org.opencontainers.image.version";

export interface Sealed {
  /** The one on top. */
  readonly layer: Layer;
  /** Those below: of the base, or written anew. */
  readonly below: readonly Layer[];
  readonly digests: readonly FormatDigest[];
  /** Absent: the base's own times stay. */
  readonly buildTime: Date | undefined;
}

export function sealedConfig({ config }: Image, { below, buildTime, layer }: Sealed): ImageConfig {
  const created = buildTime === undefined ? {} : { created: isoSeconds(buildTime) };
  const line = { ...created, created_by: "sealwright seal", comment: "signed boot loader and UKI" };
  return {
    ...config,
    ...created,
    config: { ...config.config, Labels: { ...config.config?.Labels, ...BOOTABLE_LABELS } },
    rootfs: { ...config.rootfs, diff_ids: [...below, layer].map(({ diffId }) => diffId) },
    // Without the lines of the other layers, this one would be taken for that of the lowest.
    ...(config.history ? { history: [...config.history, line] } : {}),
  };
}

export function sealedManifest(base: Image, config: Descriptor, sealed: Sealed): Manifest {
  const version = base.config.config?.Labels?.[VERSION_KEY];
  return {
    ...base.manifest,
    config: { ...base.manifest.config, digest: config.digest, size: config.size },
    layers: [
      ...sealed.below.map((layer, index) => describe(layer, base.manifest.layers[index])),
      describe(sealed.layer),
    ],
    annotations: {
      ...(version === undefined ? {} : { [VERSION_KEY]: version }),
      ...base.manifest.annotations,
      "org.opencontainers.image.base.digest": base.manifestDigest,
      ...digestAnnotations(sealed),
    },
  };
}

/** Of the sealing scheme that composefs-rs drafts, which has names for V1 alone. */
function digestAnnotations({ digests }: Sealed): Record<string, string> {
  const named = digests.filter(({ format }) => format.version === 1);
  return Object.fromEntries(
    named.map(({ format, hex }) => [`composefs.merged.bootable.erofs.v1.fsverity-${format.algorithm}-12`, hex]),
  );
}

/** The descriptor of the base stays whole, with annotations and all, unless the layer is another. */
function describe({ digest, mediaType, size }: Layer, base?: Descriptor): Descriptor {
  return base?.digest === digest ? base : { mediaType, digest, size };
}

function isoSeconds(time: Date): string {
  return time.toISOString().replace(/\.\d+Z$/, "Z");
}
