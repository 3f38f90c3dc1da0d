import * as v from "valibot";
import { descriptorSchema } from "./descriptor.ts";
import { type Immutable, parseDocument, stringMap } from "./document.ts";
import { canonicalJson } from "./json.ts";
import { isIndexMediaType } from "./media-types.ts";

/** Safety limit, the one that registries put on every manifest (distribution specification 1.1, "Pushing Manifests"). */
export const MAX_MANIFEST_SIZE = 4 * 1024 * 1024;

/** The annotation on descriptors of `index.json` that serves as tag in a layout (annotations.md). */
export const REF_NAME = "org.opencontainers.image.ref.name";

const CODE = "oci.index.malformed";

const imageIndexSchema = v.looseObject({
  schemaVersion: v.literal(2),
  mediaType: v.nullish(v.pipe(v.string(), v.check(isIndexMediaType))),
  manifests: v.array(descriptorSchema),
  annotations: stringMap,
  // A document with the members of both kinds is read as one thing here and another there (CVE-2021-41190).
  config: v.optional(v.never()),
  layers: v.optional(v.never()),
});

/** An OCI image index or a Docker manifest list: manifests to choose from. */
export type ImageIndex = Immutable<v.InferOutput<typeof imageIndexSchema>>;

/**
 * @param what where the bytes are from, for messages
 * @throws {FormatError} `oci.index.malformed`, `oci.digest.malformed`
 * @see OCI image specification 1.1, image-index.md
 */
export function parseImageIndex(bytes: Uint8Array, what = "image index"): ImageIndex {
  return parseDocument(bytes, imageIndexSchema, { what, code: CODE, maxSize: MAX_MANIFEST_SIZE });
}

/** Encodes an index with every member it has, known or not, in canonical JSON. */
export function encodeImageIndex(index: ImageIndex): Uint8Array {
  return canonicalJson(index);
}
