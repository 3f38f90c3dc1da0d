/** Files of a disk by the places of their bytes, for those who change them there. */
import {
  type EntryChange,
  type Ext4Inode,
  type Ext4Patch,
  type Ext4Volume,
  findInode,
  patchEntry,
  patchVerityAway,
  readFileRanges,
} from "../../formats/ext4/index.ts";
import type { FatVolume } from "../../formats/fat/index.ts";
import { byteString } from "../../lib/bytes/byte-string.ts";
import { NotFoundError } from "../../lib/errors.ts";
import type { EspFile } from "../../model/disk/esp.ts";

/** A file of the disk, and where each of its bytes is. */
export interface PlacedFile {
  readonly path: string;
  readonly size: number;
  /** From the start of the disk. */
  place(offset: number): number;
}

/** Bytes for a place on the disk. */
export interface DiskPatch {
  /** From the start of the disk. */
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** A file of the repository, and what somebody with the disk in their hands could make of it. */
export interface StoredFile extends PlacedFile {
  /** Still there, but nothing checks it. */
  readonly withoutVerity: DiskPatch;
  /** Under another name, and so not to be found. */
  readonly renamed: DiskPatch;
  readonly ino: number;
}

/** @param base where the ESP starts on the disk */
export function placeFat(volume: FatVolume, { entry, path }: EspFile, base: number): PlacedFile {
  const clusters: number[] = [];
  for (let at = entry.cluster; clusters.length * volume.clusterSize < entry.size; at = volume.nextCluster(at))
    clusters.push(at);
  return {
    path,
    size: entry.size,
    place: (offset) =>
      base +
      volume.clusterOffset(clusters[Math.floor(offset / volume.clusterSize)] ?? 0) +
      (offset % volume.clusterSize),
  };
}

/** Files of the root file system, and what could be made of them. */
export class RootFiles {
  readonly #volume: Ext4Volume;
  /** Of the partition. */
  readonly #offset: number;

  constructor(volume: Ext4Volume, offset: number) {
    this.#volume = volume;
    this.#offset = offset;
  }

  /** @param shown its name for people */
  find(path: string, shown = path): StoredFile | undefined {
    const inode = findInode(this.#volume, byteString(path));
    if (inode?.kind !== "file") return undefined;
    const name = path.slice(path.lastIndexOf("/") + 1);
    return {
      ...placeExt4(this.#volume, inode, shown, this.#offset),
      ino: inode.ino,
      withoutVerity: this.#place(patchVerityAway(this.#volume, inode.ino)),
      renamed: this.#change(path, { name: byteString(`${name.slice(0, -1)}~`) }),
    };
  }

  /** Lets a name lead to another file. */
  replace(path: string, ino: number): DiskPatch {
    return this.#change(path, { ino });
  }

  #change(path: string, change: EntryChange): DiskPatch {
    const slash = path.lastIndexOf("/");
    const directory = findInode(this.#volume, byteString(path.slice(0, slash)));
    if (directory === undefined)
      throw new NotFoundError("machine.disk.no-directory", `disk: no ${path.slice(0, slash)}`);
    return this.#place(patchEntry(this.#volume, directory, byteString(path.slice(slash + 1)), change));
  }

  #place({ bytes, offset }: Ext4Patch): DiskPatch {
    return { offset: this.#offset + offset, bytes };
  }
}

function placeExt4(volume: Ext4Volume, inode: Ext4Inode, path: string, base: number): PlacedFile {
  const ranges = readFileRanges(volume, inode);
  return {
    path,
    size: inode.size,
    place(offset) {
      const range = ranges.find((each) => offset >= each.offset && offset < each.offset + each.size);
      if (range === undefined) throw new RangeError(`${path}: byte ${offset} is in a hole`);
      return base + range.block * volume.blockSize + (offset - range.offset);
    },
  };
}
