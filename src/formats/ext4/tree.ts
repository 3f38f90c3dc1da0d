import type { ByteString } from "../../lib/bytes/byte-string.ts";

/** What every inode has; the shape of the tree model's `Metadata`. */
export interface Ext4Metadata {
  /** Permission bits with set-id and sticky, 0..0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** 1901-12-13 to 2446-05-10, what ext4 can store. */
  readonly mtimeSec: bigint;
  readonly mtimeNsec: number;
  readonly xattrs: ReadonlyMap<ByteString, ByteString>;
  /** i_flags of `chattr`, such as immutable; none when absent. */
  readonly flags?: number;
}

/** The bytes behind the end of a file that make it a verity file. */
export interface Ext4Verity<C> {
  /** What `encodeVerityMetadata` gives: the Merkle tree, then the descriptor. */
  readonly metadata: C;
  /** Bytes, a multiple of 4096. */
  readonly metadataSize: number;
}

export interface Ext4File<C> {
  readonly kind: "file";
  readonly meta: Ext4Metadata;
  readonly size: number;
  readonly content: C;
  /** Parts of the content that have blocks, ascending and apart; the rest are holes. All of it when absent. */
  readonly ranges?: readonly ContentRange[];
  readonly verity?: Ext4Verity<C>;
}

/** In the file, bytes; both are multiples of 4096. The last range may pass the end of the file by a part of a block. */
export interface ContentRange {
  readonly offset: number;
  readonly size: number;
}

/** Anything but a directory. The same object under several names is one inode with several links. */
export type Ext4Leaf<C> =
  | Ext4File<C>
  | { readonly kind: "symlink"; readonly meta: Ext4Metadata; readonly target: ByteString }
  | {
      readonly kind: "char" | "block";
      readonly meta: Ext4Metadata;
      /** Linux user-space device number, 32 bits. */
      readonly rdev: number;
    }
  | { readonly kind: "fifo" | "socket"; readonly meta: Ext4Metadata };

export interface Ext4Directory<C> {
  readonly kind: "directory";
  readonly meta: Ext4Metadata;
  /** Unordered; `lost+found` is added by the writer. */
  readonly entries: ReadonlyMap<ByteString, Ext4Node<C>>;
}

/** A tree to be written; `C` is whatever the caller uses to find the bytes of a file again. */
export type Ext4Node<C> = Ext4Directory<C> | Ext4Leaf<C>;
