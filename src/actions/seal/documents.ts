/** Config and manifest of the sealed image: those of the base, with one layer more. */
import type { Descriptor, ImageConfig, Manifest } from "../../formats/oci/index.ts";
import type { ComposefsFormat } from "../../model/composefs/index.ts";
import type { Image, Layer } from "../../model/image/image.ts";

/** What installers and image builders look for on a bootable image (bootc specification, section 1.1). */
const BOOTABLE_LABELS = { "containers.bootc": "1", "ostree.bootable": "1" };

/** `bootc status` takes the version from the label or from the annotation, depending on the backend. */
const VERSION_KEY = "org.opencontainers.image.version";

export interface Sealed {
  readonly layer: Layer;
  readonly format: ComposefsFormat;
  /** Lower-case hex. */
  readonly digest: string;
  /** Absent: the base's own times stay. */
  readonly buildTime: Date | undefined;
}

export function sealedConfig({ config }: Image, { buildTime, layer }: Sealed): ImageConfig {
  const created = buildTime === undefined ? {} : { created: isoSeconds(buildTime) };
  const line = { ...created, created_by: "sealwright seal", comment: "signed boot loader and UKI" };
  return {
    ...config,
    ...created,
    config: { ...config.config, Labels: { ...config.config?.Labels, ...BOOTABLE_LABELS } },
    rootfs: { ...config.rootfs, diff_ids: [...(config.rootfs.diff_ids ?? []), layer.diffId] },
    // Without the lines of the other layers, this one would be taken for that of the lowest.
    ...(config.history ? { history: [...config.history, line] } : {}),
  };
}

export function sealedManifest(base: Image, config: Descriptor, sealed: Sealed): Manifest {
  const { mediaType, digest, size } = sealed.layer;
  const version = base.config.config?.Labels?.[VERSION_KEY];
  return {
    ...base.manifest,
    config: { ...base.manifest.config, digest: config.digest, size: config.size },
    layers: [...base.manifest.layers, { mediaType, digest, size }],
    annotations: {
      ...(version === undefined ? {} : { [VERSION_KEY]: version }),
      ...base.manifest.annotations,
      "org.opencontainers.image.base.digest": base.manifestDigest,
      ...digestAnnotation(sealed),
    },
  };
}

/** Of the sealing scheme that composefs-rs drafts, which has names for V1 alone. */
function digestAnnotation({ digest, format }: Sealed): Record<string, string> {
  if (format.version !== 1) return {};
  return { [`composefs.merged.bootable.erofs.v1.fsverity-${format.algorithm}-12`]: digest };
}

function isoSeconds(time: Date): string {
  return time.toISOString().replace(/\.\d+Z$/, "Z");
}
