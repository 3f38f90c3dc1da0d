/**
 * composefs digests beside an image, as the draft sealing specification of composefs-rs has them (its 0.9,
 * composefs-oci `sealing_spec`).
 *
 *     annotations of the image's manifest       composefs.merged.bootable.erofs.v1.fsverity-sha512-12 = HEX
 *
 *     referrer, artifact type application/vnd.composefs.metadata.v1, one layer for each of, in this order:
 *       composefs.manifest.fsverity-sha512-12                     the manifest's bytes
 *       composefs.config.fsverity-sha512-12                       the config's bytes
 *       composefs.merged.erofs.v1.fsverity-sha512-12              EROFS image of the whole tree
 *       composefs.merged.bootable.erofs.v1.fsverity-sha512-12     EROFS image of the tree a host boots
 *     the annotation of a layer has the digest; the layer itself is a PKCS #7 signature over it
 *
 * The draft says nothing of layers of an artifact without signatures: the empty JSON object stands in for them here.
 * Not supported: digests of single layers, blocks of 64 KiB, signatures in annotations.
 */
export {
  ARTIFACT_ROLES,
  type ArtifactDigest,
  type ArtifactRole,
  artifactAnnotation,
  COMPOSEFS_ARTIFACT_TYPE,
  COMPOSEFS_SIGNATURE_TYPE,
  parseArtifactAnnotation,
  parseArtifactLayers,
} from "./annotations.ts";
export { formattedDigest } from "./formatted-digest.ts";
