import type { ByteString } from "../../lib/bytes/byte-string.ts";
import type { Content, Metadata } from "../tree/tree.ts";

/**
 * One entry of a layer, as its tar has it: the path is not normalised, whiteout names are not interpreted.
 * External content carries the digests that were asked for and its place in the layer.
 */
export type LayerEntry = { readonly path: ByteString; readonly meta: Metadata } & (
  | { readonly kind: "file"; readonly content: Content }
  | { readonly kind: "hardlink"; readonly target: ByteString }
  | { readonly kind: "symlink"; readonly target: ByteString }
  | { readonly kind: "char" | "block"; readonly rdev: number }
  | { readonly kind: "directory" | "fifo" }
);

/** What one layer says, in the order it says it. */
export interface LayerRecord {
  readonly entries: readonly LayerEntry[];
  /** Size of the uncompressed tar in bytes. */
  readonly size: number;
}
