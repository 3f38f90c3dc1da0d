import type { ByteString } from "../../lib/bytes/byte-string.ts";
import type { Xattr } from "./xattr.ts";

/** What an inode holds, as far as the layout of an image depends on it. */
export type ErofsContent =
  | {
      readonly kind: "directory";
      /** The directory that holds this one; the root holds itself. */
      readonly parent: ErofsInode;
      /** In byte order, without `.` and `..`. */
      readonly names: readonly ByteString[];
      readonly children: readonly ErofsInode[];
    }
  | { readonly kind: "inline"; readonly bytes: Uint8Array }
  /** A size without data blocks. `backed`: overlayfs knows a verified object for it (V2 stores one null chunk then). */
  | { readonly kind: "chunks"; readonly size: number; readonly backed: boolean }
  | { readonly kind: "symlink"; readonly target: ByteString }
  | { readonly kind: "device"; readonly rdev: number }
  | { readonly kind: "none" };

/** One inode of an image that is to be written. */
export interface ErofsInode {
  /** With type bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeSec: bigint;
  readonly mtimeNsec: number;
  /** In the order in which the inode stores them. */
  readonly xattrs: readonly Xattr[];
  readonly content: ErofsContent;
  nlink: number;
  /** Place in the list of inodes, set when the image is planned; -1 before, since that happens once. */
  index: number;
}
