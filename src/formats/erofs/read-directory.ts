import type { ByteString } from "../../lib/bytes/byte-string.ts";
import { NAME_MAX } from "./directory.ts";
import type { ImageBytes } from "./image-bytes.ts";
import { DIRENT, DIRENT_SIZE } from "./layout.ts";
import { refuse } from "./refuse.ts";

export interface DirectoryEntry {
  readonly name: ByteString;
  readonly nid: number;
  /** `DIRENT_TYPE` of the mode of the inode; 0 is unknown. */
  readonly fileType: number;
}

/** Adds the entries of one block to those before it. */
export function readDirectoryBlock(image: ImageBytes, at: number, size: number, entries: DirectoryEntry[]): void {
  const namesAt = size < DIRENT_SIZE ? 0 : image.get(at, DIRENT.nameOffset);
  if (namesAt < DIRENT_SIZE || namesAt % DIRENT_SIZE !== 0 || namesAt > size) {
    const expected = `a multiple of ${DIRENT_SIZE} up to ${size}`;
    throw refuse("erofs.directory.name-offset", "directory: first name offset", at, expected, String(namesAt));
  }
  let nameAt = namesAt;
  for (let entry = at; entry < at + namesAt; entry += DIRENT_SIZE) {
    const isLast = entry + DIRENT_SIZE === at + namesAt;
    const end = isLast
      ? lastNameEnd(image, at + nameAt, at + size) - at
      : image.get(entry + DIRENT_SIZE, DIRENT.nameOffset);
    if (end <= nameAt || end > size || end - nameAt > NAME_MAX) {
      throw refuse("erofs.directory.name-offset", "directory: end of a name", entry, `up to ${size}`, String(end));
    }
    const name = image.string(at + nameAt, at + end);
    const before = entries.at(-1);
    if (name.includes("/") || name.includes("\0")) {
      throw refuse("erofs.directory.name", "directory: name", at + nameAt, "no / and no NUL in it", "one");
    }
    // Lookup is a binary search, so an entry out of order would be there for some readers only.
    if (before !== undefined && before.name >= name) {
      throw refuse(
        "erofs.directory.order",
        "directory: name",
        at + nameAt,
        "names in ascending byte order",
        "another order",
      );
    }
    const nid = image.get(entry, DIRENT.nid);
    entries.push({ name, nid, fileType: image.get(entry, DIRENT.fileType) });
    nameAt = end;
  }
}

/** The last name of a block ends with the block or with a NUL. */
function lastNameEnd(image: ImageBytes, at: number, end: number): number {
  const nul = image.bytes.indexOf(0, at);
  return nul === -1 || nul > end ? end : nul;
}
