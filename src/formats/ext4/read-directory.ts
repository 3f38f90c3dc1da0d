import { type ByteString, bytesToByteString } from "../../lib/bytes/byte-string.ts";
import { getField, viewOf } from "../../lib/bytes/field.ts";
import { FormatError } from "../../lib/errors.ts";
import { directoryBlockChecksum } from "./checksums.ts";
import { DIR_ENTRY, DIR_ENTRY_HEADER_SIZE, DIR_TAIL_SIZE, DIR_TAIL_TYPE, INO, KINDS, type Kind } from "./layout.ts";
import { type Ext4Inode, readFile, readInode } from "./read-inode.ts";
import { checksumError, type Ext4Volume } from "./volume.ts";

export interface Ext4Entry {
  readonly name: ByteString;
  readonly ino: number;
  /** As the entry says; the inode has the last word. */
  readonly kind: Kind | undefined;
}

/** Largest directory read. Safety limit, not a format rule: room for a million names. */
const DIRECTORY_SIZE_MAX = 256 << 20;

/**
 * Entries of a directory in stored order, without "." and "..". An index (htree) is passed over: its blocks look empty.
 *
 * @throws {FormatError} `ext4.directory.*`, `ext4.extent*`
 * @see Linux Documentation/filesystems/ext4/directory.rst
 */
export function readDirectory(volume: Ext4Volume, inode: Ext4Inode): Ext4Entry[] {
  const what = `ext4 directory ${inode.ino}`;
  const { blockSize } = volume;
  if (inode.kind !== "directory" || inode.size > DIRECTORY_SIZE_MAX || inode.size % blockSize !== 0) {
    throw new FormatError("ext4.directory.size", {
      what,
      expected: `whole blocks, at most ${DIRECTORY_SIZE_MAX} bytes`,
      found: inode.kind === "directory" ? `${inode.size} bytes` : `a ${inode.kind}`,
    });
  }
  const entries: Ext4Entry[] = [];
  let at = 0;
  for (const chunk of readFile(volume, inode)) {
    for (let start = 0; start < chunk.length; start += blockSize, at += blockSize) {
      const block = chunk.subarray(start, start + blockSize);
      requireChecksum(inode, block, what, at);
      readEntries(block, what, at, entries);
    }
  }
  return entries;
}

/**
 * Finds an inode by path components; symbolic links are not followed.
 *
 * @returns undefined when a component is absent or no directory
 * @throws {FormatError} as `readDirectory` and `readInode` do
 */
export function findInode(volume: Ext4Volume, path: ByteString): Ext4Inode | undefined {
  let inode = readInode(volume, INO.ROOT);
  for (const name of path.split("/")) {
    if (name === "" || name === ".") continue;
    if (inode.kind !== "directory") return undefined;
    const entry = readDirectory(volume, inode).find((candidate) => candidate.name === name);
    if (entry === undefined) return undefined;
    inode = readInode(volume, entry.ino);
  }
  return inode;
}

/** Blocks of entries end with a tail that holds the checksum; blocks of the index have none here and no entries. */
function requireChecksum(inode: Ext4Inode, block: Uint8Array, what: string, at: number): void {
  if (inode.checksumSeed === undefined) return;
  const tail = viewOf(block.subarray(block.length - DIR_TAIL_SIZE));
  const isTail =
    getField(tail, DIR_ENTRY.inode) === 0 &&
    getField(tail, DIR_ENTRY.recordLength) === DIR_TAIL_SIZE &&
    getField(tail, DIR_ENTRY.nameLength) === 0 &&
    getField(tail, DIR_ENTRY.fileType) === DIR_TAIL_TYPE;
  if (isTail && tail.getUint32(DIR_ENTRY_HEADER_SIZE, true) !== directoryBlockChecksum(inode.checksumSeed, block)) {
    throw checksumError("ext4.directory.checksum", what, at);
  }
}

const KIND_BY_TYPE: ReadonlyMap<number, Kind> = new Map(
  Object.entries(KINDS).map(([kind, { entryType }]) => [entryType, kind as Kind]),
);

function readEntries(block: Uint8Array, what: string, blockAt: number, into: Ext4Entry[]): void {
  for (let at = 0; at < block.length; ) {
    const left = block.length - at;
    const view = viewOf(block.subarray(at));
    const stored = left < DIR_ENTRY_HEADER_SIZE ? 0 : getField(view, DIR_ENTRY.recordLength);
    // A block of 64 KiB is longer than 16 bits say: 65535 and 0 both mean all of it.
    const recordLength = block.length === 65_536 && (stored === 65_535 || stored === 0) ? 65_536 : stored;
    const nameLength = left < DIR_ENTRY_HEADER_SIZE ? 0 : getField(view, DIR_ENTRY.nameLength);
    if (recordLength < DIR_ENTRY_HEADER_SIZE + nameLength || recordLength > left || recordLength % 4 !== 0) {
      throw new FormatError("ext4.directory.entry", {
        what: `${what}: record length`,
        offset: blockAt + at,
        expected: `a multiple of 4 from ${DIR_ENTRY_HEADER_SIZE + nameLength} to ${left}`,
        found: String(recordLength),
      });
    }
    const ino = getField(view, DIR_ENTRY.inode);
    if (ino !== 0) {
      const nameAt = at + DIR_ENTRY_HEADER_SIZE;
      const name = bytesToByteString(block.subarray(nameAt, nameAt + nameLength));
      if (name !== "." && name !== "..") {
        if (nameLength === 0 || /[/\0]/.test(name)) {
          throw new FormatError("ext4.directory.name", {
            what: `${what}: name`,
            offset: blockAt + nameAt,
            expected: `no empty name, no "/" and NUL`,
            found: JSON.stringify(name.slice(0, 80)),
          });
        }
        into.push({ name, ino, kind: KIND_BY_TYPE.get(getField(view, DIR_ENTRY.fileType)) });
      }
    }
    at += recordLength;
  }
}
