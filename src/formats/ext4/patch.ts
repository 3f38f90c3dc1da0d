import { type ByteString, bytesToByteString } from "../../lib/bytes/byte-string.ts";
import { getField, setField, viewOf } from "../../lib/bytes/field.ts";
import { FormatError, quote } from "../../lib/errors.ts";
import { directoryBlockChecksum, hasChecksumHi, inodeChecksum } from "./checksums.ts";
import { DIR_ENTRY, DIR_ENTRY_HEADER_SIZE, DIR_TAIL_SIZE, INODE, INODE_FLAG } from "./layout.ts";
import { readFileRanges } from "./read-extents.ts";
import { type Ext4Inode, readInode } from "./read-inode.ts";
import { type Ext4Volume, readBlocks } from "./volume.ts";

/** Bytes to be written to a volume, checksums included: the kernel takes what they say for its own. */
export interface Ext4Patch {
  /** From the start of the volume. */
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/**
 * Takes a file's fs-verity away: what is left behind its end is room that the file has.
 *
 * @throws as `readInode`
 */
export function patchVerityAway(volume: Ext4Volume, ino: number): Ext4Patch {
  const { checksumSeed } = readInode(volume, ino);
  const index = (ino - 1) % volume.inodesPerGroup;
  const table = volume.inodeTable(Math.floor((ino - 1) / volume.inodesPerGroup));
  const offset = table * volume.blockSize + index * volume.inodeSize;
  const bytes = Uint8Array.from(volume.source.read(offset, volume.inodeSize));
  const view = viewOf(bytes);
  setField(view, INODE.flags, (getField(view, INODE.flags) & ~INODE_FLAG.VERITY) >>> 0);
  if (checksumSeed !== undefined) {
    const checksum = inodeChecksum(checksumSeed, bytes);
    setField(view, INODE.checksumLo, checksum & 0xffff);
    if (hasChecksumHi(bytes)) setField(view, INODE.checksumHi, checksum >>> 16);
  }
  return { offset, bytes };
}

export interface EntryChange {
  /** As long as the name it had. */
  readonly name?: ByteString;
  readonly ino?: number;
}

/**
 * Changes an entry of a directory where it stands.
 *
 * @throws {FormatError} `ext4.patch.no-entry`; as `readFileRanges`
 */
export function patchEntry(volume: Ext4Volume, directory: Ext4Inode, name: ByteString, change: EntryChange): Ext4Patch {
  for (const range of readFileRanges(volume, directory)) {
    for (let at = 0; at < range.size; at += volume.blockSize) {
      const place = range.block + at / volume.blockSize;
      const block = Uint8Array.from(readBlocks(volume, place, 1, `ext4 directory ${directory.ino}`));
      if (!changeEntry(block, name, change)) continue;
      if (directory.checksumSeed !== undefined) {
        const checksum = directoryBlockChecksum(directory.checksumSeed, block);
        setField(viewOf(block), [block.length - DIR_TAIL_SIZE + DIR_ENTRY_HEADER_SIZE, 4], checksum);
      }
      return { offset: place * volume.blockSize, bytes: block };
    }
  }
  throw new FormatError("ext4.patch.no-entry", {
    what: `ext4 directory ${directory.ino}`,
    expected: `an entry ${quote(name)}`,
    found: "none",
  });
}

function changeEntry(block: Uint8Array, name: ByteString, change: EntryChange): boolean {
  for (let at = 0; at + DIR_ENTRY_HEADER_SIZE <= block.length; ) {
    const view = viewOf(block.subarray(at));
    const recordLength = getField(view, DIR_ENTRY.recordLength);
    if (recordLength < DIR_ENTRY_HEADER_SIZE) return false;
    const stored = block.subarray(
      at + DIR_ENTRY_HEADER_SIZE,
      at + DIR_ENTRY_HEADER_SIZE + getField(view, DIR_ENTRY.nameLength),
    );
    if (getField(view, DIR_ENTRY.inode) !== 0 && bytesToByteString(stored) === name) {
      if (change.name !== undefined) stored.set(Buffer.from(change.name, "latin1").subarray(0, stored.length));
      if (change.ino !== undefined) setField(view, DIR_ENTRY.inode, change.ino);
      return true;
    }
    at += recordLength;
  }
  return false;
}
