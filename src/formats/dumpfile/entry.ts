import type { ByteString } from "../../lib/bytes/byte-string.ts";

/** Metadata of a line. */
export interface DumpMetadata {
  /** Without type bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeSec: bigint;
  readonly mtimeNsec: number;
  readonly xattrs: ReadonlyMap<ByteString, ByteString>;
}

export type DumpNode =
  | { readonly kind: "directory" }
  | { readonly kind: "inline"; readonly bytes: Uint8Array }
  | { readonly kind: "external"; readonly size: bigint; readonly digest: Uint8Array }
  /** An object without fs-verity digest; `path` is its place in the object store. */
  | { readonly kind: "unverified"; readonly size: bigint; readonly path: ByteString }
  | { readonly kind: "sparse"; readonly size: bigint }
  | { readonly kind: "symlink"; readonly target: ByteString }
  | { readonly kind: "char" | "block"; readonly rdev: number }
  | { readonly kind: "fifo" | "socket" };

/** One line: a node, or one more name of a node that an earlier line has. */
export type DumpEntry = {
  /** Absolute and canonical; the root is `/`. */
  readonly path: ByteString;
} & (
  | { readonly kind: "node"; readonly nlink: number; readonly meta: DumpMetadata; readonly node: DumpNode }
  | { readonly kind: "hardlink"; readonly target: ByteString }
);
