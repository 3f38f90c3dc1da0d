/**
 * OCI images as JSON: references, descriptors, indexes, manifests, configs. OCI image specification 1.1 and Docker
 * image manifest version 2, schema 2.
 *
 *     reference ──> index ──> manifest ──┬─> config     architecture, labels, diff IDs, history
 *                   (by platform)        ├─> layer 0    lowest
 *                                        └─> layer n    a tar, plain or compressed
 *
 * Every arrow is a descriptor: media type, digest, size. Members we do not know stay in the value and are written
 * again. Not supported: Docker schema 1, digests other than SHA-256 and SHA-512, encrypted layers.
 */
export {
  encodeImageConfig,
  type HistoryEntry,
  type ImageConfig,
  layerHistory,
  MAX_CONFIG_SIZE,
  parseImageConfig,
  requireDiffIds,
} from "./config.ts";
export type { Descriptor } from "./descriptor.ts";
export {
  type BlobDigest,
  blobDigestAlgorithm,
  blobDigestHex,
  isBlobDigest,
  parseBlobDigest,
  toBlobDigest,
} from "./digest.ts";
export {
  DOCKER_ARCHIVE_MANIFEST,
  type DockerArchiveImage,
  type DockerArchiveManifest,
  parseDockerArchiveManifest,
} from "./docker-archive.ts";
export { encodeImageIndex, type ImageIndex, MAX_MANIFEST_SIZE, parseImageIndex, REF_NAME } from "./image-index.ts";
export { canonicalJson, type JsonLimits, type JsonValue, parseJson } from "./json.ts";
export {
  BLOBS_DIRECTORY,
  blobPath,
  checkLayoutFile,
  encodeLayoutFile,
  INDEX_FILE,
  LAYOUT_FILE,
  MAX_LAYOUT_FILE_SIZE,
} from "./layout.ts";
export { encodeManifest, MAX_LAYERS, type Manifest, parseManifest } from "./manifest.ts";
export {
  type Compression,
  isConfigMediaType,
  isIndexMediaType,
  isManifestMediaType,
  layerCompression,
  layerMediaType,
  MEDIA_TYPE,
} from "./media-types.ts";
export { matchesPlatform, type Platform, parsePlatform, showPlatform } from "./platform.ts";
export {
  type ImageSelector,
  type LocalReference,
  parseReference,
  type Reference,
  type RegistryReference,
  showReference,
  showSelector,
} from "./reference.ts";
export {
  artifactTypeOf,
  COSIGN_TAGS,
  EMPTY_JSON,
  isReferrersTag,
  parseReferrerList,
  type Referrer,
  referrersTag,
  toReferrer,
} from "./referrers.ts";
