import { type ByteString, bytesToByteString } from "../../lib/bytes/byte-string.ts";

/**
 * The paths of a package, files and directories, from its `info/NAME.list`: one a line, absolute. Anything else in a
 * line is taken as it is; such a path is in no tree.
 *
 * @see dpkg lib/dpkg/db-fsys-files.c
 */
export function parseDpkgFileList(bytes: Uint8Array): ByteString[] {
  return linesOf(bytes);
}

/**
 * The files of a package from its `NAME.md5sums`, which is what distroless images keep of it: a digest, two spaces and
 * a path without leading slash in a line.
 */
export function parseDpkgMd5sums(bytes: Uint8Array): ByteString[] {
  return linesOf(bytes).flatMap((line) => {
    const path = /^[0-9a-f]{32} [ *](.+)$/.exec(line)?.[1];
    return path === undefined ? [] : [`/${path}` as ByteString];
  });
}

const linesOf = (bytes: Uint8Array): ByteString[] =>
  bytesToByteString(bytes)
    .split("\n")
    .filter((line) => line !== "") as ByteString[];
