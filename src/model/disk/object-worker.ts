/** The program of the workers that check objects on a disk. */
import { openExt4, readInode } from "../../formats/ext4/index.ts";
import type { VerityAlgorithm } from "../../formats/fsverity/index.ts";
import { windowSource } from "../../lib/bytes/byte-source.ts";
import { serve } from "../../lib/hash/serve.ts";
import {
  attempt,
  checkFile,
  checkRange,
  type FileCheck,
  type RangeCheck,
  type RootVolume,
  type Unreadable,
} from "./check-merkle.ts";
import { type DiskFile, openDiskFile } from "./open-disk.ts";

/** Where the root file system is: its disk, and its partition in bytes. */
export interface RootPlace {
  readonly file: DiskFile;
  readonly offset: number;
  readonly size: number;
}

export interface FilesJob {
  readonly kind: "files";
  readonly root: RootPlace;
  readonly files: readonly { readonly ino: number; readonly algorithm: VerityAlgorithm }[];
}

/** A part of a large file. */
export interface RangeJob {
  readonly kind: "range";
  readonly root: RootPlace;
  readonly ino: number;
  readonly algorithm: VerityAlgorithm;
  readonly from: number;
  readonly to: number;
}

/** Metadata that a worker keeps of the disk. */
const CACHE_SIZE = 4 << 20;

let scratch = new Uint8Array();
let opened: { readonly fd: number; readonly root: RootVolume } | undefined;

serve((job: FilesJob | RangeJob): (FileCheck | Unreadable)[] | RangeCheck | Unreadable => {
  switch (job.kind) {
    case "files":
      return job.files.map(({ algorithm, ino }) =>
        attempt(() => {
          const root = openRoot(job.root);
          const inode = readInode(root.volume, ino);
          return checkFile(root, inode, algorithm, [checkRange(root, inode, algorithm, 0, take(inode.size))]);
        }),
      );
    case "range":
      return attempt(() => {
        const root = openRoot(job.root);
        const inode = readInode(root.volume, job.ino);
        return checkRange(root, inode, job.algorithm, job.from, take(job.to - job.from));
      });
    default:
      return job satisfies never;
  }
});

function openRoot({ file, offset, size }: RootPlace): RootVolume {
  if (opened?.fd !== file.fd) {
    const disk = openDiskFile(file, CACHE_SIZE);
    opened = { fd: file.fd, root: { disk, offset, volume: openExt4(windowSource(disk, offset, size)) } };
  }
  return opened.root;
}

function take(size: number): Uint8Array {
  if (scratch.length < size) scratch = new Uint8Array(size);
  return scratch.subarray(0, size);
}
