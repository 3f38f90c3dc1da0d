/** What is said about an image beside it: signatures, attestations, SBOMs. */
import {
  type Descriptor,
  isIndexMediaType,
  parseImageIndex,
  parsePlatform,
  showPlatform,
} from "../../formats/oci/index.ts";
import { hostPlatform } from "../../model/image/host-platform.ts";
import { openImageSource } from "../../model/image/open-image.ts";
import { chooseCandidate, type ImageSource, loadManifest, resolveIndexes } from "../../model/image/source.ts";
import {
  documentFacts,
  findReferrers,
  judgeReferrers,
  loadVerificationKeys,
  type Remark,
  type VerificationKey,
} from "../../model/referrers/index.ts";
import type { Registries } from "../../model/registry/index.ts";

export interface ReferrersOptions {
  /** Files with public keys or certificates whose signatures count. */
  readonly keys?: readonly string[];
  /** One image of an index, and not the index with all of them. */
  readonly platform?: string | undefined;
  readonly registries?: Registries | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What is said about one manifest. */
export interface Subject {
  readonly manifestDigest: string;
  readonly mediaType: string;
  readonly platform?: string;
  readonly remarks: readonly Remark[];
}

export interface ReferrersReport {
  readonly image: string;
  /** The image, or an index and its images. */
  readonly subjects: readonly Subject[];
}

/**
 * @throws whatever opening the image and the keys throw
 * @throws {RegistryError} `registry.*` when nothing can be listed
 */
export async function listReferrers(reference: string, options: ReferrersOptions = {}): Promise<ReferrersReport> {
  const { platform, registries, signal } = options;
  const keys = await loadVerificationKeys(options.keys ?? []);
  await using source = await openImageSource(reference, { registries, ...(signal && { signal }) });
  const wanted = {
    platform: platform === undefined ? hostPlatform() : parsePlatform(platform),
    platformRequired: platform !== undefined,
  };
  const top = await chooseCandidate(source, wanted);
  if (platform !== undefined) {
    const only = await resolveIndexes(source, top, wanted);
    return { image: reference, subjects: [await describeSubject(source, only, keys)] };
  }
  const subjects = [await describeSubject(source, top, keys)];
  if (isIndexMediaType(top.mediaType)) {
    const { manifests } = parseImageIndex(await loadManifest(source, top), `${source.name}: image index`);
    for (const entry of manifests) subjects.push(await describeSubject(source, entry, keys));
  }
  return { image: reference, subjects };
}

async function describeSubject(
  source: ImageSource,
  descriptor: Descriptor,
  keys: readonly VerificationKey[],
): Promise<Subject> {
  const { digest: subject, mediaType, platform } = descriptor;
  const composefs = await documentFacts(source, descriptor);
  const remarks = await judgeReferrers(await findReferrers(source, subject), { subject, keys, composefs });
  return { manifestDigest: subject, mediaType, ...(platform && { platform: showPlatform(platform) }), remarks };
}
