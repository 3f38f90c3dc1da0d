import { type Descriptor, isManifestMediaType, showPlatform } from "../../formats/oci/index.ts";

export interface Unsealable {
  readonly code: string;
  readonly reason: string;
}

/** Where BuildKit says that an entry of an index is about another one (its docs/attestations/attestation-storage.md). */
const BUILDKIT_REFERENCE = "vnd.docker.reference.type";

/** What can be told of an entry before it is read. */
export function whyNotSealable(entry: Descriptor): Unsealable | undefined {
  const about = entry.annotations?.[BUILDKIT_REFERENCE];
  if (about !== undefined) return { code: "seal.index.attestation", reason: `${about} of the unsealed image` };
  if (!isManifestMediaType(entry.mediaType)) {
    return { code: "seal.index.not-a-manifest", reason: `media type ${entry.mediaType}, expected an image manifest` };
  }
  const { platform } = entry;
  if (platform !== undefined && platform !== null && platform.os !== "linux") {
    return { code: "seal.index.not-linux", reason: `for ${platform.os}, expected linux` };
  }
  return undefined;
}

/** The member of a report that says for which platform an entry is. */
export function platformMember({ platform }: Descriptor): { readonly platform?: string } {
  return platform === undefined || platform === null ? {} : { platform: showPlatform(platform) };
}
