/**
 * An OCI image, wherever it lives: every source (layout, archive, registry) gives the same `Image`.
 *
 * @see OCI image specification 1.1: manifest.md, config.md, layer.md
 */
import type { ImageConfig } from "../../formats/oci/config.ts";
import type { BlobDigest } from "../../formats/oci/digest.ts";
import type { Manifest } from "../../formats/oci/manifest.ts";
import type { Compression } from "../../formats/oci/media-types.ts";

export type { Compression };

/** Part of a local file; lets hashing workers read by position instead of being fed. */
export interface FileRange {
  readonly path: string;
  readonly offset: number;
  readonly size: number;
}

/** Stored bytes by name. What `open` yields is NOT yet checked against the digest: the reader of the bytes does that. */
export interface Blob {
  readonly digest: BlobDigest;
  readonly size: number;
  readonly mediaType: string;
  open(): AsyncIterable<Uint8Array>;
  readonly file?: FileRange;
  /** The repository it is in, when it is in a registry: another one there can share it. */
  readonly registry?: { readonly host: string; readonly repository: string };
}

export interface Layer extends Blob {
  /** 0 is the lowest. */
  readonly index: number;
  readonly compression: Compression;
  /** Digest of the uncompressed tar, from the config. */
  readonly diffId: BlobDigest;
  /** The instruction that made the layer, from the config's history, when it can be told. */
  readonly createdBy?: string;
}

export interface Image extends AsyncDisposable {
  /** The reference as the user wrote it. */
  readonly name: string;
  readonly manifestDigest: BlobDigest;
  /** OCI or Docker schema 2. */
  readonly manifestMediaType: string;
  /** Exact bytes; their digest was checked. */
  readonly manifestBytes: Uint8Array;
  readonly manifest: Manifest;
  readonly configBytes: Uint8Array;
  readonly config: ImageConfig;
  readonly layers: readonly Layer[];
}
