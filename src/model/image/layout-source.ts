import type { Descriptor } from "../../formats/oci/descriptor.ts";
import { type ImageIndex, MAX_MANIFEST_SIZE, parseImageIndex, REF_NAME } from "../../formats/oci/image-index.ts";
import { blobPath, checkLayoutFile, INDEX_FILE, LAYOUT_FILE, MAX_LAYOUT_FILE_SIZE } from "../../formats/oci/layout.ts";
import { isIndexMediaType, isManifestMediaType } from "../../formats/oci/media-types.ts";
import { type ImageSelector, showSelector } from "../../formats/oci/reference.ts";
import { isReferrersTag, referrersTag, toReferrer } from "../../formats/oci/referrers.ts";
import { FormatError, NotFoundError, quote } from "../../lib/errors.ts";
import { fileBlob, loadBlob } from "./blob.ts";
import { type FileStore, loadRange } from "./file-store.ts";
import type { Blob, FileRange } from "./image.ts";
import type { ImageSource } from "./source.ts";

/**
 * Images in an OCI image layout, a directory or a tar archive of one.
 *
 * @throws {FormatError} `oci.layout.missing`, `oci.layout.malformed`, `oci.index.malformed`
 * @see OCI image specification 1.1, image-layout.md
 */
export async function openLayoutSource(store: FileStore, name: string, select?: ImageSelector): Promise<ImageSource> {
  const layoutFile = await requireFile(store, LAYOUT_FILE);
  checkLayoutFile(
    await loadRange(layoutFile, name, MAX_LAYOUT_FILE_SIZE, "oci.layout.malformed"),
    `${name}: ${LAYOUT_FILE}`,
  );
  const index = await loadLayoutIndex(store, name);
  const blob = async (descriptor: Descriptor, what: string): Promise<Blob> => {
    const file = await store.find(blobPath(descriptor.digest));
    if (file !== undefined) return fileBlob(descriptor, file, what);
    throw new NotFoundError("image.blob.missing", `${what}: ${descriptor.digest} is not in ${quote(store.path)}`, {
      data: { digest: descriptor.digest },
    });
  };
  const load = async (descriptor: Descriptor): Promise<Uint8Array> => {
    const what = `${name}: ${descriptor.digest}`;
    return await loadBlob(await blob(descriptor, what), what, MAX_MANIFEST_SIZE, "oci.manifest.malformed");
  };
  const tagged = (tag: string): Descriptor | undefined =>
    index.manifests.find(({ annotations }) => annotations?.[REF_NAME] === tag);
  return {
    name,
    async candidates() {
      const selected = selectManifests(index, select, name);
      return select === undefined && selected.length > 1 ? await withoutReferrers(selected, load) : selected;
    },
    blob,
    // oxlint-disable-next-line require-await -- the interface is that of a registry too
    tagged: async (tag) => tagged(tag),
    async referrers(subject) {
      const list = tagged(referrersTag(subject));
      const listed = list === undefined ? [] : parseImageIndex(await load(list), `${name}: referrers`).manifests;
      const found: Descriptor[] = [...listed];
      for (const entry of index.manifests.filter(({ mediaType }) => isManifestMediaType(mediaType))) {
        const referrer = toReferrer(await load(entry), entry);
        if (referrer?.subject === subject) found.push(referrer.descriptor);
      }
      return [...new Map(found.map((each) => [each.digest, each])).values()];
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** @throws {FormatError} `oci.layout.missing`, `oci.index.malformed` */
export async function loadLayoutIndex(store: FileStore, name: string): Promise<ImageIndex> {
  const file = await requireFile(store, INDEX_FILE);
  const bytes = await loadRange(file, name, MAX_MANIFEST_SIZE, "oci.index.malformed");
  return parseImageIndex(bytes, `${name}: ${INDEX_FILE}`);
}

async function requireFile(store: FileStore, file: string): Promise<FileRange> {
  const found = await store.find(file);
  if (found !== undefined) return found;
  throw new FormatError("oci.layout.missing", {
    what: quote(store.path),
    expected: `an OCI image layout with ${quote(file)}`,
    found: "none",
  });
}

/** A layout is named without a tag when there is one image in it, however much is said about it. */
async function withoutReferrers(
  entries: readonly Descriptor[],
  load: (entry: Descriptor) => Promise<Uint8Array>,
): Promise<readonly Descriptor[]> {
  const images: Descriptor[] = [];
  for (const entry of entries) {
    if (isReferrersTag(entry.annotations?.[REF_NAME] ?? "")) continue;
    const isReferrer = isManifestMediaType(entry.mediaType) && toReferrer(await load(entry), entry) !== undefined;
    if (!isReferrer) images.push(entry);
  }
  return images;
}

/** Descriptors of other media types are no images and must be no error (image-layout.md, "index.json file"). */
function selectManifests(index: ImageIndex, select: ImageSelector | undefined, name: string): readonly Descriptor[] {
  const images = index.manifests.filter(
    ({ mediaType }) => isManifestMediaType(mediaType) || isIndexMediaType(mediaType),
  );
  if (select === undefined) return images;
  const selected = images.filter((image, position) => {
    switch (select.by) {
      case "tag":
        return image.annotations?.[REF_NAME] === select.tag;
      case "position":
        return position === select.position;
      case "digest":
        return image.digest === select.digest;
      default:
        return select satisfies never;
    }
  });
  if (selected.length > 0) return selected;
  const tags = images.map((image) => image.annotations?.[REF_NAME] ?? `@${image.digest}`);
  throw tagNotFound(name, select, tags);
}

export function tagNotFound(name: string, select: ImageSelector, there: readonly string[]): NotFoundError {
  const list = there.length === 0 ? "no image" : there.slice(0, 20).join(", ");
  return new NotFoundError("image.tag.not-found", `${name}: found ${list}, expected ${quote(showSelector(select))}`, {
    data: { images: there },
  });
}
