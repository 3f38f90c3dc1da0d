/**
 * The list of referrers of a registry that keeps none: an index under a tag, which every client reads, adds to and
 * writes again.
 *
 *     read ──> add ──> is it still the same? ──> write ──> wait ──> is ours in it?
 *      ^                        no │                                   no │
 *      '───────────────────────────┴──────────────────────────────────────'
 *
 * Registries have no conditional write, so two clients can overwrite each other. Whoever did is not told; whoever was
 * overwritten sees it, because it looks again after the other had time to finish, and adds itself anew.
 *
 * @see OCI distribution specification 1.1, "Pushing Manifests with Subject", "Referrers Tag Schema"
 */
import type { Descriptor } from "../../formats/oci/descriptor.ts";
import type { BlobDigest } from "../../formats/oci/digest.ts";
import { encodeImageIndex, type ImageIndex, MAX_MANIFEST_SIZE } from "../../formats/oci/image-index.ts";
import { MEDIA_TYPE } from "../../formats/oci/media-types.ts";
import { referrersTag } from "../../formats/oci/referrers.ts";
import { RegistryError, UnsupportedError } from "../../lib/errors.ts";
import type { Repository } from "./repository.ts";
import { type Pacing, sleep } from "./retry.ts";

/** Times the list is written: so many others would have to be in the way. */
const MAX_WRITES = 10;

/** How long another client may take from its last look to its write. */
const SETTLE_MS = 200;

export interface Pace {
  readonly pacing: Pacing;
  readonly signal: AbortSignal | undefined;
}

/**
 * @throws {RegistryError} `registry.referrers-contended` when others keep overwriting the list
 * @throws {UnsupportedError} `registry.referrers-full` when the list would be larger than a manifest may be
 */
export async function addToReferrersTag(
  repository: Repository,
  subject: BlobDigest,
  referrers: readonly Descriptor[],
  pace: Pace,
): Promise<void> {
  const tag = referrersTag(subject);
  for (let writes = 0; ; writes++) {
    const { digest: before, ...index } = await repository.loadReferrersTag(subject);
    const missing = referrers.filter(({ digest }) => !index.manifests.some((each) => each.digest === digest));
    if (missing.length === 0) return;
    if (writes === MAX_WRITES) throw contended(repository, subject);
    const bytes = encodeList(index, missing, subject);
    if ((await repository.findManifest(tag)) !== before) continue;
    await repository.storeManifest(bytes, MEDIA_TYPE.index, tag);
    await sleep(SETTLE_MS * (1 + pace.pacing.random()), pace);
  }
}

function encodeList(index: ImageIndex, missing: readonly Descriptor[], subject: BlobDigest): Uint8Array {
  const bytes = encodeImageIndex({ ...index, manifests: [...index.manifests, ...missing] });
  if (bytes.length <= MAX_MANIFEST_SIZE) return bytes;
  throw new UnsupportedError(
    "registry.referrers-full",
    `the list of referrers of ${subject} would have ${bytes.length} bytes, expected at most ${MAX_MANIFEST_SIZE}`,
  );
}

function contended({ name, registry }: Repository, subject: BlobDigest): RegistryError {
  return new RegistryError(
    "registry.referrers-contended",
    `${registry}/${name}: the list of referrers of ${subject} was overwritten ${MAX_WRITES} times`,
    { temporary: true, hint: "others write to it at the same time: try again" },
  );
}
