import type { LayerObject } from "../repository/index.ts";

/** Bytes on a disk that is written: held, in a layer, made while the layer is read, or on a disk that is there. */
export type DiskContent = Uint8Array | LayerObject | VerityOf | StoredContent;

/** What fs-verity stores beside an object. */
export interface VerityOf {
  readonly kind: "verity";
  readonly object: LayerObject;
}

/** Bytes on another disk. */
export interface StoredContent {
  readonly kind: "stored";
  /** Chunks are valid until the next is pulled. */
  read(from: number, size: number): Iterable<Uint8Array>;
}
