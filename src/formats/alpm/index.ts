/**
 * The local database of pacman: a directory a package, with two text files that matter here.
 *
 *     local/bash-5.2.037-1/desc     %NAME%          local/bash-5.2.037-1/files     %FILES%
 *                                   bash                                           usr/
 *                                                                                  usr/bin/
 *                                   %BASE%                                         usr/bin/bash
 *                                   bash
 *
 * Written after libalpm/be_local.c of pacman 7. Nothing is written.
 */
import { type ByteString, bytesToByteString } from "../../lib/bytes/byte-string.ts";

/**
 * The lines of a section, up to the empty line that ends it; none when there is no such section.
 *
 * @param section its name without the percent signs
 */
export function parseAlpmSection(bytes: Uint8Array, section: string): ByteString[] {
  const lines = bytesToByteString(bytes).split("\n") as ByteString[];
  const start = lines.indexOf(`%${section}%` as ByteString);
  if (start === -1) return [];
  const end = lines.indexOf("" as ByteString, start);
  return lines.slice(start + 1, end === -1 ? undefined : end);
}
