/**
 * Media types of images, of OCI and of Docker schema 2.
 *
 * @see OCI image specification 1.1, media-types.md; distribution 2.8 docs/spec/manifest-v2-2.md
 */
import { quote, UnsupportedError } from "../../lib/errors.ts";

export const MEDIA_TYPE = {
  index: "application/vnd.oci.image.index.v1+json",
  manifest: "application/vnd.oci.image.manifest.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  empty: "application/vnd.oci.empty.v1+json",
  layer: "application/vnd.oci.image.layer.v1.tar",
  layerGzip: "application/vnd.oci.image.layer.v1.tar+gzip",
  layerZstd: "application/vnd.oci.image.layer.v1.tar+zstd",
  dockerIndex: "application/vnd.docker.distribution.manifest.list.v2+json",
  dockerManifest: "application/vnd.docker.distribution.manifest.v2+json",
  dockerConfig: "application/vnd.docker.container.image.v1+json",
  dockerLayer: "application/vnd.docker.image.rootfs.diff.tar",
  dockerLayerGzip: "application/vnd.docker.image.rootfs.diff.tar.gzip",
} as const;

export type Compression = "none" | "gzip" | "zstd";

/**
 * The non-distributable types are deprecated names for the same bytes. `tar.zstd` and `foreign.diff.tar` are no
 * standard, but written by engines that convert between the two families.
 */
const LAYER_COMPRESSION: ReadonlyMap<string, Compression> = new Map([
  [MEDIA_TYPE.layer, "none"],
  [MEDIA_TYPE.layerGzip, "gzip"],
  [MEDIA_TYPE.layerZstd, "zstd"],
  ["application/vnd.oci.image.layer.nondistributable.v1.tar", "none"],
  ["application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", "gzip"],
  ["application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", "zstd"],
  [MEDIA_TYPE.dockerLayer, "none"],
  [MEDIA_TYPE.dockerLayerGzip, "gzip"],
  ["application/vnd.docker.image.rootfs.diff.tar.zstd", "zstd"],
  ["application/vnd.docker.image.rootfs.foreign.diff.tar", "none"],
  ["application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "gzip"],
]);

/**
 * @param what the layer, for the message
 * @throws {UnsupportedError} `oci.layer.media-type-unsupported`: encrypted layers, artifacts, unknown compressions
 */
export function layerCompression(mediaType: string, what: string): Compression {
  const compression = LAYER_COMPRESSION.get(mediaType);
  if (compression !== undefined) return compression;
  throw new UnsupportedError(
    "oci.layer.media-type-unsupported",
    `${what}: media type ${quote(mediaType)} is no tar layer, plain or with gzip or zstd`,
    { data: { mediaType } },
  );
}

/** The media type of a layer with another compression, in the family (OCI or Docker) of the manifest. */
export function layerMediaType(manifestMediaType: string, compression: Compression): string {
  if (manifestMediaType === MEDIA_TYPE.dockerManifest) {
    if (compression === "gzip") return MEDIA_TYPE.dockerLayerGzip;
    if (compression === "none") return MEDIA_TYPE.dockerLayer;
    throw new UnsupportedError(
      "oci.layer.media-type-unsupported",
      "a Docker schema 2 manifest has no media type for layers with zstd",
    );
  }
  return { none: MEDIA_TYPE.layer, gzip: MEDIA_TYPE.layerGzip, zstd: MEDIA_TYPE.layerZstd }[compression];
}

export const isIndexMediaType = (mediaType: string): boolean =>
  mediaType === MEDIA_TYPE.index || mediaType === MEDIA_TYPE.dockerIndex;

export const isManifestMediaType = (mediaType: string): boolean =>
  mediaType === MEDIA_TYPE.manifest || mediaType === MEDIA_TYPE.dockerManifest;

export const isConfigMediaType = (mediaType: string): boolean =>
  mediaType === MEDIA_TYPE.config || mediaType === MEDIA_TYPE.dockerConfig;
