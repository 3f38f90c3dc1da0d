/** Directory blocks: 12-byte entries, then their names, packed until the next entry does not fit. */
import type { ByteString } from "../../lib/bytes/byte-string.ts";
import { FormatError } from "../../lib/errors.ts";
import type { ErofsInode } from "./inode.ts";
import { BLOCK_SIZE, DIRENT, DIRENT_SIZE, DIRENT_TYPE } from "./layout.ts";
import { splitTail } from "./rules.ts";

/** Format limit of the kernel (EROFS_NAME_LEN). */
export const NAME_MAX = 255;

/** The entries of a directory in stored order, cut into blocks. */
export interface PackedDirectory {
  readonly names: readonly ByteString[];
  readonly children: readonly ErofsInode[];
  /** Index of the first entry of each part; a part is a block, the last one perhaps the inline tail. */
  readonly starts: readonly number[];
  readonly blocks: number;
  readonly tail: number;
}

/** `.` and `..` take their places among the names by byte order. */
export function packDirectory(inode: ErofsInode): PackedDirectory {
  if (inode.content.kind !== "directory") throw new TypeError("inode is no directory");
  const { parent } = inode.content;
  const names = [...inode.content.names];
  const children = [...inode.content.children];
  for (const [name, target] of [
    [".", inode],
    ["..", parent],
  ] as const) {
    let at = 0;
    while (at < names.length && (names[at] as string) < name) at++;
    names.splice(at, 0, name as ByteString);
    children.splice(at, 0, target);
  }

  const starts = [0];
  let used = 0;
  for (let at = 0; at < names.length; at++) {
    const { length } = names[at] as ByteString;
    if (length === 0 || length > NAME_MAX) throw nameLength(length);
    if (used + DIRENT_SIZE + length > BLOCK_SIZE) {
      starts.push(at);
      used = 0;
    }
    used += DIRENT_SIZE + length;
  }
  return { names, children, starts, ...splitTail((starts.length - 1) * BLOCK_SIZE + used) };
}

function nameLength(length: number): FormatError {
  return new FormatError("erofs.name.length", {
    what: "file name",
    expected: `1 to ${NAME_MAX} bytes`,
    found: String(length),
  });
}

/** Writes one part of a directory at `at` of a zeroed buffer. */
export function putDirectoryPart(
  { names, children, starts }: PackedDirectory,
  part: number,
  nidOf: (inode: ErofsInode) => number,
  into: Buffer,
  at: number,
): void {
  const first = starts[part] as number;
  const end = starts[part + 1] ?? names.length;
  let entry = at;
  let name = at + (end - first) * DIRENT_SIZE;
  for (let index = first; index < end; index++, entry += DIRENT_SIZE) {
    const child = children[index] as ErofsInode;
    const text = names[index] as ByteString;
    const nid = nidOf(child);
    into.writeUInt32LE(nid % 2 ** 32, entry + DIRENT.nid[0]);
    into.writeUInt32LE(Math.floor(nid / 2 ** 32), entry + DIRENT.nid[0] + 4);
    into.writeUInt16LE(name - at, entry + DIRENT.nameOffset[0]);
    into[entry + DIRENT.fileType[0]] = DIRENT_TYPE[child.mode >> 12] as number;
    into.write(text, name, "latin1");
    name += text.length;
  }
}
