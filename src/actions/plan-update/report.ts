/** What an update costs, in bytes that a host has to fetch. Every list is complete; who shows it cuts it. */
import type { BlobDigest } from "../../formats/oci/index.ts";

export interface UpdateReport {
  readonly from: UpdateSide;
  readonly to: UpdateSide;
  /** Blobs of layers, as they are stored; null unless both are images. */
  readonly layers: LayersReport | null;
  /** Files by their fs-verity digest, each fetched whole. */
  readonly objects: ObjectsReport;
  /** Each of these files as a change of one that the host has; null where contents were not read. */
  readonly deltas: DeltasReport | null;
  /** The composefs image itself, which names every file; null for what is no bootable OS. */
  readonly metadata: Measured | null;
  /** Layers if both images were cut by `rechunk`, the second after the first; null unless asked for. */
  readonly rechunked: RechunkedReport | null;
  /** Where the bytes come from: most first. */
  readonly components: readonly ComponentUpdate[];
  /** Most first. */
  readonly files: readonly FileUpdate[];
  readonly notes: readonly { readonly code: string; readonly message: string }[];
}

export interface UpdateSide {
  readonly source: string;
  readonly manifestDigest?: string;
  /** Bytes of all layers. */
  readonly layerSize?: number;
  /** Bytes of all files, equal ones once. */
  readonly objectSize: number;
}

export interface Amount {
  readonly count: number;
  readonly size: number;
}

export interface LayersReport {
  readonly total: Amount;
  readonly fetched: Amount;
  readonly list: readonly {
    readonly digest: BlobDigest;
    readonly size: number;
    readonly fetched: boolean;
    readonly createdBy?: string;
  }[];
}

export interface ObjectsReport {
  readonly total: Amount;
  readonly fetched: Amount;
  /** Bytes with each object compressed on its own (zstd, level 3); null where contents were not read. */
  readonly compressed: number | null;
}

export interface DeltasReport {
  /** Bytes of all deltas; a file without an old one, or that is smaller without it, is there compressed. */
  readonly size: number;
  /** Files that had an old one to be a change of. */
  readonly based: number;
}

/** Bytes of one thing in each way. */
export interface Measured {
  readonly size: number;
  readonly compressed: number | null;
  readonly delta: number | null;
}

export interface FileUpdate extends Measured {
  readonly path: string;
  readonly component: string;
  /** The file that the delta is a change of. */
  readonly base: string | null;
}

export interface ComponentUpdate extends Measured {
  readonly name: string;
  readonly files: number;
}

export interface RechunkedReport {
  /** That the second image would have. */
  readonly layers: number;
  /** Compressed with zstd, level 9. */
  readonly fetched: Amount;
}
