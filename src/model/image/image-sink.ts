import type { Descriptor } from "../../formats/oci/descriptor.ts";
import type { BlobDigest } from "../../formats/oci/digest.ts";
import type { Referrer } from "../../formats/oci/referrers.ts";
import type { Registries } from "../registry/index.ts";
import type { NewBlob } from "./blob.ts";
import type { Blob } from "./image.ts";

/** What becomes visible together. */
export interface Publication {
  /** Manifests and indexes, tagged or not; one with the tag of another takes its place. The image comes last. */
  readonly entries: readonly Descriptor[];
  /** Manifests about others. Where it can be chosen, they are there before the entries are. */
  readonly referrers: readonly Referrer[];
}

/** What a place to write images to must offer; `completeWriter` derives the rest. */
export interface ImageSink extends AsyncDisposable {
  /** Whether a blob is there, from before or since. */
  has(digest: BlobDigest): Promise<boolean>;
  /** Keeps a blob until `publish`, checked against what is known of it. */
  put(blob: NewBlob, content: AsyncIterable<Uint8Array>): Promise<Descriptor>;
  /**
   * Finds a blob, while it waits and afterwards.
   *
   * @param what for messages
   */
  find(descriptor: Descriptor, what: string): Promise<Blob | undefined>;
  /** As `put`, by a shorter way when there is one. */
  copy(blob: Blob): Promise<Descriptor>;
  /** Shows everything at once. */
  publish(publication: Publication): Promise<void>;
}

export interface ImageWriterOptions {
  /** Needed to write to a registry. */
  readonly registries?: Registries | undefined;
  /** Replace an archive that is there already. A layout keeps its other images in any case. */
  readonly overwrite?: boolean;
  readonly signal?: AbortSignal;
}
