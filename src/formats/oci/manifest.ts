import * as v from "valibot";
import { descriptorSchema } from "./descriptor.ts";
import { type Immutable, parseDocument, stringMap } from "./document.ts";
import { MAX_MANIFEST_SIZE } from "./image-index.ts";
import { canonicalJson } from "./json.ts";
import { isManifestMediaType } from "./media-types.ts";

/** Safety limit: engines cannot mount more than some hundred layers. */
export const MAX_LAYERS = 4096;

const CODE = "oci.manifest.malformed";

const manifestSchema = v.looseObject({
  schemaVersion: v.literal(2),
  mediaType: v.nullish(v.pipe(v.string(), v.check(isManifestMediaType))),
  config: descriptorSchema,
  artifactType: v.nullish(v.string()),
  layers: v.pipe(v.array(descriptorSchema), v.maxLength(MAX_LAYERS)),
  annotations: stringMap,
  subject: v.nullish(descriptorSchema),
  // A document with the members of both kinds is read as one thing here and another there (CVE-2021-41190).
  manifests: v.optional(v.never()),
});

/** An OCI image manifest or a Docker schema 2 manifest: one config and the layers, lowest first. */
export type Manifest = Immutable<v.InferOutput<typeof manifestSchema>>;

/**
 * @param what where the bytes are from, for messages
 * @throws {FormatError} `oci.manifest.malformed`, `oci.digest.malformed`
 * @see OCI image specification 1.1, manifest.md
 */
export function parseManifest(bytes: Uint8Array, what = "manifest"): Manifest {
  return parseDocument(bytes, manifestSchema, { what, code: CODE, maxSize: MAX_MANIFEST_SIZE });
}

/** Encodes a manifest with every member it has, known or not, in canonical JSON. */
export function encodeManifest(manifest: Manifest): Uint8Array {
  return canonicalJson(manifest);
}
