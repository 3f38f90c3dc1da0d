/**
 * A composefs repository as composefs-rs keeps it: objects named by their fs-verity digests, links to the EROFS images
 * and split streams among them.
 *
 *     meta.json   format; with fs-verity, every object must have it
 *     objects/    5a/5a..
 *     images/     <digest>    -> ../objects/..
 *     streams/    oci-layer-<diff ID>, oci-config-<digest>, oci-manifest-<digest>    -> ../objects/..
 *                 refs/oci/<tag>    -> ../../oci-manifest-<digest>
 *
 * @see composefs specification, section 8
 */
export { LayerStream } from "./layer-stream.ts";
export {
  contentId,
  DIRECTORY_MODE,
  deploymentTag,
  encodeMeta,
  IMAGES,
  META_FILE,
  OBJECT_MODE,
  OBJECTS,
  OCI_REFS,
  objectLink,
  REFS,
  REPOSITORY_MODE,
  STREAMS,
  tagFileName,
  tagLink,
} from "./layout.ts";
export { LayerObject, type MemoryObject, memoryObject, type RepositoryObject, type Verity } from "./object.ts";
export { type Repository, RepositoryBuilder } from "./repository.ts";
