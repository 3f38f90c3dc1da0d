/** Everything that has to be copied for an image to be elsewhere as it is here. */
import type { Descriptor } from "../../formats/oci/descriptor.ts";
import type { BlobDigest } from "../../formats/oci/digest.ts";
import { parseImageIndex } from "../../formats/oci/image-index.ts";
import { parseManifest } from "../../formats/oci/manifest.ts";
import { isIndexMediaType, isManifestMediaType } from "../../formats/oci/media-types.ts";
import { COSIGN_TAGS, referrersTag } from "../../formats/oci/referrers.ts";
import { FormatError, quote, UnsupportedError } from "../../lib/errors.ts";
import type { Blob } from "./image.ts";
import { type ImageSource, loadManifest, MAX_INDEX_DEPTH } from "./source.ts";

export interface PlannedManifest {
  readonly mediaType: string;
  readonly bytes: Uint8Array;
  /** A name of its own, where it is found by that. */
  readonly tag?: string;
}

export interface CopyPlan {
  /** What is referred to stands before what refers to it; the image itself is last. */
  readonly manifests: readonly PlannedManifest[];
  /** About those. */
  readonly attached: readonly PlannedManifest[];
  readonly blobs: ReadonlyMap<BlobDigest, Blob>;
}

export interface CopyPlanOptions {
  /** Also what is said about the image: referrers, their referrers, and what cosign keeps under tags. */
  readonly referrers?: boolean;
}

/** Safety limit: a signature of a signature of an attestation. */
const MAX_REFERRER_DEPTH = 4;

/** Safety limit on manifests about one image. */
const MAX_REFERRERS = 10_000;

/** Reads the manifests below `top`, each digest once. */
export async function planCopy(
  source: ImageSource,
  top: Descriptor,
  { referrers = false }: CopyPlanOptions = {},
): Promise<CopyPlan> {
  const blobs = new Map<BlobDigest, Blob>();
  const manifests = new Map<BlobDigest, PlannedManifest>();
  await addManifests(source, top, { manifests, blobs }, 0);
  const attached = new Map<BlobDigest, PlannedManifest>();
  if (referrers) {
    for (const digest of manifests.keys()) await addReferrers(source, digest, { manifests: attached, blobs }, 0);
  }
  return { manifests: [...manifests.values()], attached: [...attached.values()], blobs };
}

interface Gathered {
  readonly manifests: Map<BlobDigest, PlannedManifest>;
  readonly blobs: Map<BlobDigest, Blob>;
}

async function addManifests(
  source: ImageSource,
  { digest, mediaType, ...rest }: Descriptor,
  gathered: Gathered,
  depth: number,
): Promise<void> {
  if (gathered.manifests.has(digest)) return;
  const bytes = await loadManifest(source, { digest, mediaType, ...rest });
  if (isIndexMediaType(mediaType)) {
    const what = `${source.name}: image index`;
    if (depth === MAX_INDEX_DEPTH) {
      throw new FormatError("oci.index.too-deep", { what, expected: `at most ${depth} levels`, found: "another one" });
    }
    for (const each of parseImageIndex(bytes, what).manifests) await addManifests(source, each, gathered, depth + 1);
  } else if (isManifestMediaType(mediaType)) {
    const manifest = parseManifest(bytes, `${source.name}: manifest`);
    for (const blob of [manifest.config, ...manifest.layers]) {
      gathered.blobs.set(blob.digest, await source.blob(blob, `${source.name}: ${blob.digest}`));
    }
  } else {
    throw new UnsupportedError(
      "oci.manifest.media-type-unsupported",
      `${source.name}: media type ${quote(mediaType)} is no manifest or index of OCI or Docker schema 2`,
      { data: { mediaType } },
    );
  }
  gathered.manifests.set(digest, { mediaType, bytes });
}

async function addReferrers(
  source: ImageSource,
  subject: BlobDigest,
  gathered: Gathered,
  depth: number,
): Promise<void> {
  if (depth === MAX_REFERRER_DEPTH) return;
  const found = (await source.referrers(subject)).filter(({ digest }) => !gathered.manifests.has(digest));
  for (const each of found) await addManifests(source, each, gathered, 0);
  for (const suffix of COSIGN_TAGS) {
    const tag = `${referrersTag(subject)}.${suffix}`;
    const tagged = await source.tagged(tag);
    if (tagged === undefined) continue;
    await addManifests(source, tagged, gathered, 0);
    const planned = gathered.manifests.get(tagged.digest) as PlannedManifest;
    gathered.manifests.set(tagged.digest, { ...planned, tag });
  }
  if (gathered.manifests.size > MAX_REFERRERS) {
    const what = `${source.name}: referrers`;
    throw new FormatError("oci.referrers.too-many", { what, expected: `at most ${MAX_REFERRERS}`, found: "more" });
  }
  for (const { digest } of found) await addReferrers(source, digest, gathered, depth + 1);
}
