import type { Descriptor } from "../../formats/oci/descriptor.ts";
import type { BlobDigest } from "../../formats/oci/digest.ts";
import { isIndexMediaType, isManifestMediaType } from "../../formats/oci/media-types.ts";
import type { RegistryReference } from "../../formats/oci/reference.ts";
import { isReferrersTag } from "../../formats/oci/referrers.ts";
import { RegistryError, SealwrightError } from "../../lib/errors.ts";
import { isNotFound, type Registries, type Repository, type StoredManifest } from "../registry/index.ts";
import type { Blob } from "./image.ts";
import type { ImageSource } from "./source.ts";

/**
 * An image in a registry. The tag is read once; everything else is asked for by digest, from the place that knew the
 * tag.
 *
 * @throws {RegistryError} `registry.*`; `registry.tag-moved` when the tag names another image than at first
 */
export async function openRegistrySource(
  reference: RegistryReference,
  name: string,
  registries: Registries,
  signal?: AbortSignal,
): Promise<ImageSource> {
  const readers = await registries.readers(reference, signal);
  const { repository, manifest } = await firstThatKnows(readers, reference.digest ?? (reference.tag as string));
  let first = true;
  const top: Descriptor = { mediaType: manifest.mediaType, digest: manifest.digest, size: manifest.bytes.length };
  return {
    name,
    async candidates() {
      // The first answer is the one that came with opening; later ones must be the same.
      if (!first && reference.digest === undefined) await requireUnmoved(repository, reference, manifest.digest);
      first = false;
      return [top];
    },
    // oxlint-disable-next-line require-await -- the interface is that of a layout too
    async blob(descriptor) {
      return descriptor.digest === manifest.digest
        ? heldManifest(manifest, descriptor)
        : remoteBlob(repository, descriptor);
    },
    referrers: (subject) => repository.listReferrers(subject),
    async tagged(tag) {
      if ((await repository.findManifest(tag)) === undefined) return undefined;
      const { bytes, digest, mediaType } = await repository.loadManifest(tag);
      return { mediaType, digest, size: bytes.length };
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** A blob or manifest in a repository. Whether it is there is known when it is opened. */
export function remoteBlob(repository: Repository, { mediaType, digest, size }: Descriptor): Blob {
  if (!isManifestMediaType(mediaType) && !isIndexMediaType(mediaType)) {
    const place = { host: repository.registry, repository: repository.name };
    return { mediaType, digest, size, registry: place, open: () => repository.openBlob(digest, size) };
  }
  return {
    mediaType,
    digest,
    size,
    async *open() {
      yield (await repository.loadManifest(digest)).bytes;
    },
  };
}

function heldManifest({ bytes }: StoredManifest, { mediaType, digest, size }: Descriptor): Blob {
  // oxlint-disable-next-line require-await -- the interface is that of a stream
  return {
    mediaType,
    digest,
    size,
    async *open() {
      yield bytes;
    },
  };
}

/** A mirror that fails is as good as none; the place itself has the last word. */
async function firstThatKnows(
  readers: readonly (() => Promise<Repository>)[],
  reference: string,
): Promise<{ readonly repository: Repository; readonly manifest: StoredManifest }> {
  let failure: unknown;
  let last: Repository | undefined;
  for (const open of readers) {
    try {
      const repository = await open();
      last = repository;
      return { repository, manifest: await repository.loadManifest(reference) };
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error;
      failure = error;
    }
  }
  throw last !== undefined && isNotFound(failure) ? await withTags(failure as RegistryError, last) : failure;
}

/** Tags that a hint names. */
const SHOWN_TAGS = 10;

/** Who mistyped a tag sees those that are there, where the registry tells. */
async function withTags({ code, data, message }: RegistryError, repository: Repository): Promise<RegistryError> {
  const tags: string[] = [];
  try {
    for await (const tag of repository.listTags()) {
      if (!isReferrersTag(tag)) tags.push(tag);
      if (tags.length > SHOWN_TAGS) break;
    }
  } catch (error) {
    if (!(error instanceof SealwrightError) || error.code === "interrupted") throw error;
  }
  const more = tags.length > SHOWN_TAGS ? ", ..." : "";
  const hint =
    tags.length === 0
      ? "no such repository, or none that this account may read"
      : `tags there: ${tags.slice(0, SHOWN_TAGS).join(", ")}${more}`;
  return new RegistryError(code, message, { data: { ...data, tags: tags.slice(0, SHOWN_TAGS) }, hint });
}

async function requireUnmoved(repository: Repository, { tag }: RegistryReference, expected: BlobDigest): Promise<void> {
  const found = await repository.findManifest(tag as string);
  if (found === expected) return;
  throw new RegistryError(
    "registry.tag-moved",
    `${repository.registry}/${repository.name}: tag ${tag} names ${found ?? "nothing"} now, expected ${expected} as before`,
    { data: { expected, found: found ?? null }, hint: "name the image by its digest" },
  );
}
