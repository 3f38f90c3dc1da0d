import { type Descriptor, EMPTY_JSON, encodeManifest, MEDIA_TYPE } from "../../formats/oci/index.ts";
import type { ImageWriter } from "../image/image-writer.ts";

export interface NewArtifact {
  readonly artifactType: string;
  /** What it is about. */
  readonly subject: Descriptor;
  readonly layers: readonly {
    readonly bytes: Uint8Array;
    readonly mediaType: string;
    readonly annotations?: Readonly<Record<string, string>>;
  }[];
  readonly annotations?: Readonly<Record<string, string>>;
}

/**
 * Stores a manifest about another one, without a config of its own.
 *
 * @see OCI image specification 1.1, manifest.md, "Guidelines for Artifact Usage"
 */
export async function attachArtifact(writer: ImageWriter, artifact: NewArtifact): Promise<Descriptor> {
  const layers: Descriptor[] = [];
  for (const { annotations, bytes, mediaType } of artifact.layers) {
    const { digest, size } = await writer.putBytes(bytes, mediaType);
    layers.push({ mediaType, digest, size, ...(annotations && { annotations }) });
  }
  const { digest, mediaType, size } = artifact.subject;
  const manifestBytes = encodeManifest({
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.manifest,
    artifactType: artifact.artifactType,
    config: await writer.putBytes(EMPTY_JSON, MEDIA_TYPE.empty),
    layers,
    subject: { mediaType, digest, size },
    ...(artifact.annotations && { annotations: artifact.annotations }),
  });
  return await writer.attach({ manifestBytes, mediaType: MEDIA_TYPE.manifest });
}
