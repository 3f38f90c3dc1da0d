import type { ByteString } from "../../lib/bytes/byte-string.ts";

/** What every tar entry says. Nothing is interpreted: the path may be absolute, hold `..` or name a whiteout. */
export interface TarMetadata {
  readonly path: ByteString;
  /** Permission bits with set-id and sticky, 0..0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since 1970, signed 64 bits. */
  readonly mtimeSec: bigint;
  /** 0..999_999_999. */
  readonly mtimeNsec: number;
  readonly xattrs: ReadonlyMap<ByteString, ByteString>;
}

export type TarEntry = TarMetadata &
  (
    | {
        readonly kind: "file";
        /** Bytes of content. */
        readonly size: number;
      }
    | { readonly kind: "hardlink" | "symlink"; readonly target: ByteString }
    | { readonly kind: "char" | "block"; readonly major: number; readonly minor: number }
    | { readonly kind: "directory" | "fifo" }
  );
