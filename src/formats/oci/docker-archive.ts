/**
 * The `manifest.json` that `docker save` puts into its archive: one entry an image.
 *
 * @see moby image specification 1.2 (moby/moby image/spec/v1.2.md), "Combined Image JSON + Filesystem Changeset Format"
 */
import * as v from "valibot";
import { type Immutable, parseDocument } from "./document.ts";
import { MAX_MANIFEST_SIZE } from "./image-index.ts";
import { MAX_LAYERS } from "./manifest.ts";

export const DOCKER_ARCHIVE_MANIFEST = "manifest.json";

const dockerArchiveSchema = v.array(
  v.looseObject({
    /** Member with the config. */
    Config: v.string(),
    /** `name:tag`, none for an image saved by its ID. */
    RepoTags: v.nullish(v.array(v.string())),
    /** Members with the layers, lowest first. */
    Layers: v.nullish(v.pipe(v.array(v.string()), v.maxLength(MAX_LAYERS))),
  }),
);

export type DockerArchiveManifest = Immutable<v.InferOutput<typeof dockerArchiveSchema>>;
export type DockerArchiveImage = DockerArchiveManifest[number];

/** @throws {FormatError} `oci.docker-archive.malformed` */
export function parseDockerArchiveManifest(bytes: Uint8Array, what = DOCKER_ARCHIVE_MANIFEST): DockerArchiveManifest {
  const limits = { what, code: "oci.docker-archive.malformed", maxSize: MAX_MANIFEST_SIZE };
  return parseDocument(bytes, dockerArchiveSchema, limits);
}
