import type { Descriptor } from "../../formats/oci/descriptor.ts";
import { type ImageIndex, REF_NAME } from "../../formats/oci/image-index.ts";
import { MEDIA_TYPE } from "../../formats/oci/media-types.ts";
import type { Referrer } from "../../formats/oci/referrers.ts";
import type { Publication } from "./image-sink.ts";

/** The index of a layout with everything that is published in it. */
export function withPublication(index: ImageIndex, { entries, referrers }: Publication): ImageIndex {
  return [...referrers.map(referrerEntry), ...entries].reduce(withEntry, index);
}

/** An annotation that would be a tag here says nothing of the layout. */
function referrerEntry({ descriptor }: Referrer): Descriptor {
  const { [REF_NAME]: _, ...annotations } = descriptor.annotations ?? {};
  return { ...descriptor, annotations };
}

export const EMPTY_INDEX: ImageIndex = { schemaVersion: 2, mediaType: MEDIA_TYPE.index, manifests: [] };

/**
 * Adds an entry to the index of a layout. A tag names one image, so it moves; without a tag the entry replaces
 * itself only.
 */
export function withEntry(index: ImageIndex, entry: Descriptor): ImageIndex {
  const tag = tagOf(entry);
  const others = index.manifests.filter(
    (other) => tagOf(other) !== tag || (tag === undefined && other.digest !== entry.digest),
  );
  return { ...index, manifests: [...others, entry] };
}

const tagOf = (entry: Descriptor): string | undefined => entry.annotations?.[REF_NAME];
