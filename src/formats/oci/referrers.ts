/** Manifests that say something about another manifest, their subject. */
import * as v from "valibot";
import { type Descriptor, descriptorSchema } from "./descriptor.ts";
import { type BlobDigest, blobDigestAlgorithm, blobDigestHex } from "./digest.ts";
import { parseDocument } from "./document.ts";
import { MAX_MANIFEST_SIZE } from "./image-index.ts";
import { type Manifest, parseManifest } from "./manifest.ts";

/** The config of a manifest that needs none: the bytes `{}` (image specification 1.1, manifest.md, "Guidance for an Empty Descriptor"). */
export const EMPTY_JSON: Uint8Array = Buffer.from("{}");

/** The tag under which a registry without the referrers API lists the referrers (distribution specification 1.1, "Referrers Tag Schema"). */
export function referrersTag(subject: BlobDigest): string {
  return `${blobDigestAlgorithm(subject)}-${blobDigestHex(subject).slice(0, 64)}`;
}

/** What cosign adds to that tag for signatures, attestations and SBOMs (cosign 2, specs/SIGNATURE_SPEC.md). */
export const COSIGN_TAGS = ["sig", "att", "sbom"] as const;

/** Tags that are no names of images: of the schema above, and of cosign, which adds what it holds. */
export function isReferrersTag(tag: string): boolean {
  return /^sha(?:256|512)-[0-9a-f]{64}(?:\.(?:sig|att|sbom))?$/.test(tag);
}

/** A manifest as lists of referrers have it. */
export interface Referrer {
  readonly descriptor: Descriptor;
  readonly subject: BlobDigest;
}

/** Registries written in Go say `null` for an empty list. */
const listSchema = v.looseObject({ schemaVersion: v.literal(2), manifests: v.nullish(v.array(descriptorSchema)) });

/**
 * The answer of the referrers API.
 *
 * @throws {FormatError} `oci.index.malformed`, `oci.digest.malformed`
 * @see OCI distribution specification 1.1, "Listing Referrers"
 */
export function parseReferrerList(bytes: Uint8Array, what = "list of referrers"): readonly Descriptor[] {
  const limits = { what, code: "oci.index.malformed", maxSize: MAX_MANIFEST_SIZE };
  return parseDocument(bytes, listSchema, limits).manifests ?? [];
}

/**
 * What a list of referrers says of a manifest: its artifact type and its annotations beside its digest.
 *
 * @returns nothing for a manifest without subject
 * @see OCI distribution specification 1.1, "Listing Referrers"
 */
export function toReferrer(bytes: Uint8Array, { mediaType, digest, size }: Descriptor): Referrer | undefined {
  const manifest = parseManifest(bytes);
  const { annotations, subject } = manifest;
  if (subject === undefined || subject === null) return undefined;
  const notes = annotations === undefined || annotations === null ? {} : { annotations };
  const descriptor = { mediaType, digest, size, artifactType: artifactTypeOf(manifest), ...notes };
  return { descriptor, subject: subject.digest };
}

/** What a manifest is about: its artifact type, else the media type of its config. */
export const artifactTypeOf = ({ artifactType, config }: Manifest): string => artifactType ?? config.mediaType;
