import type { Descriptor } from "../../formats/oci/descriptor.ts";
import { type ImageIndex, MAX_MANIFEST_SIZE, parseImageIndex, REF_NAME } from "../../formats/oci/image-index.ts";
import { blobPath, checkLayoutFile, INDEX_FILE, LAYOUT_FILE, MAX_LAYOUT_FILE_SIZE } from "../../formats/oci/layout.ts";
import { isIndexMediaType, isManifestMediaType } from "../../formats/oci/media-types.ts";
import { type ImageSelector, showSelector } from "../../formats/oci/reference.ts";
import { FormatError, NotFoundError, quote } from "../../lib/errors.ts";
import { fileBlob } from "./blob.ts";
import { type FileStore, loadRange } from "./file-store.ts";
import type { FileRange } from "./image.ts";
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
  return {
    name,
    // oxlint-disable-next-line require-await -- the interface is that of a registry too
    candidates: async () => selectManifests(index, select, name),
    async blob(descriptor, what) {
      const file = await store.find(blobPath(descriptor.digest));
      if (file === undefined) {
        throw new NotFoundError("image.blob.missing", `${what}: ${descriptor.digest} is not in ${quote(store.path)}`, {
          data: { digest: descriptor.digest },
        });
      }
      return fileBlob(descriptor, file, what);
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
