import type { BlobDigest, Compression } from "../../formats/oci/index.ts";
import type { ExpectedBytes } from "../../model/chunks/index.ts";

export interface RechunkReport {
  readonly source: string;
  readonly sourceManifest: string;
  readonly destination: string;
  readonly manifestDigest: string;
  /** Of the tree that a host boots; null for an image that is no bootable OS. The source has the same. */
  readonly digest: { readonly format: string; readonly hex: string } | null;
  /** Names in the tree: all were found again in the new layers. */
  readonly entries: number;
  readonly components: number;
  readonly compression: Compression;
  /** Lowest first. */
  readonly layers: readonly RechunkedLayer[];
  readonly sourceLayers: { readonly count: number; readonly size: number };
  readonly expected: ExpectedBytes;
  readonly previous: readonly PreviousReport[];
  readonly warnings: readonly { readonly code: string; readonly message: string }[];
}

export interface RechunkedLayer {
  readonly digest: BlobDigest;
  readonly diffId: BlobDigest;
  readonly mediaType: string;
  /** Stored bytes. */
  readonly size: number;
  readonly tarSize: number;
  readonly components: readonly string[];
  readonly entries: number;
  /** That it changes in the next build. */
  readonly probability: number;
  /** The image whose blob it is, where the bytes were there already. */
  readonly reusedFrom?: string;
}

export interface PreviousReport {
  readonly name: string;
  readonly manifestDigest: string;
  /** Its layers are where packing started from. */
  readonly layoutKept: boolean;
  /** Of the new layers those that it has, too. */
  readonly shared: { readonly count: number; readonly size: number };
}
