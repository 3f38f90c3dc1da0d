import {
  artifactTypeOf,
  type BlobDigest,
  COSIGN_TAGS,
  type Descriptor,
  isManifestMediaType,
  type Manifest,
  parseManifest,
  referrersTag,
} from "../../formats/oci/index.ts";
import { SealwrightError, UnsupportedError, VerificationError } from "../../lib/errors.ts";
import { loadBlob } from "../image/blob.ts";
import { type ImageSource, loadManifest } from "../image/source.ts";

/** A manifest about the image, or what is wrong with it. */
export interface FoundReferrer {
  readonly digest: BlobDigest;
  readonly artifactType: string;
  readonly tag?: string;
  readonly manifest: Manifest | SealwrightError;
  /** Reads a layer whole and checks it. */
  readonly load: (layer: Descriptor) => Promise<Uint8Array>;
}

/** Safety limit on manifests that are read; lists of registries can be longer. */
const MAX_REFERRERS = 1000;

/** Safety limit on one statement: a large SBOM in base64. */
const MAX_LAYER_SIZE = 96 * 1024 * 1024;

/**
 * Finds what is said about a manifest: what lists it as subject, and what cosign keeps under a tag. One that cannot be
 * read hides no other.
 *
 * @throws {RegistryError} `registry.*` when nothing can be listed
 * @throws {UnsupportedError} `referrers.too-many`
 */
export async function findReferrers(source: ImageSource, subject: BlobDigest): Promise<readonly FoundReferrer[]> {
  const listed = await source.referrers(subject);
  if (listed.length > MAX_REFERRERS) {
    throw new UnsupportedError(
      "referrers.too-many",
      `${source.name}: ${listed.length} referrers of ${subject}, expected at most ${MAX_REFERRERS}`,
    );
  }
  const found = await Promise.all(listed.map((each) => read(source, each, subject)));
  for (const suffix of COSIGN_TAGS) {
    const tag = `${referrersTag(subject)}.${suffix}`;
    const descriptor = await source.tagged(tag);
    if (descriptor !== undefined) found.push({ ...(await read(source, descriptor, undefined)), tag });
  }
  return found;
}

/** @param subject what the manifest must be about; one under a tag says it further down */
async function read(
  source: ImageSource,
  descriptor: Descriptor,
  subject: BlobDigest | undefined,
): Promise<FoundReferrer> {
  const { digest } = descriptor;
  const what = `${source.name}: referrer ${digest}`;
  const load = async (layer: Descriptor): Promise<Uint8Array> =>
    await loadBlob(await source.blob(layer, what), what, MAX_LAYER_SIZE, "referrers.too-large");
  const listedType = descriptor.artifactType ?? "";
  try {
    const manifest = parseManifest(await loadManifest(source, requireManifest(descriptor, what)), what);
    if (subject !== undefined && manifest.subject?.digest !== subject) {
      throw new VerificationError(
        "referrers.subject-differs",
        `${what}: its subject is ${manifest.subject?.digest ?? "nothing"}, expected ${subject}`,
        { data: { found: manifest.subject?.digest ?? null, expected: subject } },
      );
    }
    return { digest, artifactType: artifactTypeOf(manifest), manifest, load };
  } catch (error) {
    if (!(error instanceof SealwrightError) || error.code === "interrupted") throw error;
    return { digest, artifactType: listedType, manifest: error, load };
  }
}

function requireManifest(descriptor: Descriptor, what: string): Descriptor {
  if (isManifestMediaType(descriptor.mediaType)) return descriptor;
  throw new UnsupportedError("referrers.not-a-manifest", `${what}: media type ${descriptor.mediaType}`);
}
