/** Names in a composefs repository. Paths are relative to it. */
import type { ComposefsVersion } from "../../formats/erofs/index.ts";
import type { VerityAlgorithm } from "../../formats/fsverity/index.ts";
import { type ByteString, byteString } from "../../lib/bytes/byte-string.ts";
import { objectPath } from "../composefs/overlay.ts";

export const META_FILE = "meta.json";
/** `objects/5a/5a..`: files named by their fs-verity digest. */
export const OBJECTS = "objects";
/** `images/<digest>`: links to the EROFS images among the objects. */
export const IMAGES = "images";
/** `streams/<content id>`: links to the split streams among the objects. */
export const STREAMS = "streams";
/** Below `images` and `streams`: names that keep what they link to from being collected. */
export const REFS = "refs";
/** Below `streams/refs`: tags of OCI images. */
export const OCI_REFS = "oci";

/** bootc keeps the repository from everybody but root; composefs-rs makes what is in it readable. */
export const REPOSITORY_MODE = 0o700;
export const DIRECTORY_MODE = 0o755;
export const OBJECT_MODE = 0o644;

/** From a link in `images` or `streams` to its object. */
export const objectLink = (hex: string): ByteString => byteString(`../${OBJECTS}/${objectPath(hex)}`);

/** From `streams/refs/oci/NAME` to the manifest's stream. */
export const tagLink = (contentId: string): ByteString => byteString(`../../${contentId}`);

/** Content ids of the streams of an OCI image; digests as `sha256:<hex>`. */
export const contentId = {
  layer: (diffId: string): string => `oci-layer-${diffId}`,
  config: (digest: string): string => `oci-config-${digest}`,
  manifest: (digest: string): string => `oci-manifest-${digest}`,
} as const;

/** Named references of a config's stream to the image that a host boots, by the version of its format. */
export const BOOT_IMAGE_REF = {
  0: "composefs.image.boot.v1",
  1: "composefs.image.boot.v1",
  2: "composefs.image.boot",
} as const satisfies Record<ComposefsVersion, string>;

/** How a manifest's stream names that of the config. */
export const configRef = (digest: string): string => `config:${digest}`;

/** The tag that bootc gives to every image it deploys. */
export const deploymentTag = (manifestDigest: string): string => `localhost/bootc-${manifestDigest}`;

/** A tag as a file name: slashes, and the sign that escapes them, are escaped. */
export const tagFileName = (tag: string): string => tag.replaceAll("%", "%25").replaceAll("/", "%2F");

/**
 * `meta.json` of a new repository, laid out as composefs-rs does.
 *
 * @see composefs specification, section 8.2
 */
export function encodeMeta(algorithm: VerityAlgorithm, version: ComposefsVersion): Uint8Array {
  const meta = {
    version: 1,
    algorithm: `fsverity-${algorithm}-12`,
    features: {
      compatible: [],
      "read-only-compatible": version === 1 ? ["v1_erofs"] : [],
      incompatible: [],
    },
    erofs_formats: { default: version },
  };
  return Buffer.from(`${JSON.stringify(meta, undefined, 2)}\n`);
}
