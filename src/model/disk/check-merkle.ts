/**
 * Whether what ext4 stores of a verity file is what its contents give.
 *
 * The contents may come in ranges, each checked in another thread against its part of the leaves; what goes on from a
 * range are the hashes of its leaf blocks, 1/8192 (SHA-256) or 1/4096 (SHA-512) of it.
 */
import { hash } from "node:crypto";
import {
  type Ext4Inode,
  type Ext4Volume,
  readFile,
  readFileRanges,
  readVerityMetadata,
} from "../../formats/ext4/index.ts";
import {
  buildMerkleTree,
  encodeDescriptor,
  hashBlocks,
  leavesSize,
  VERITY_ALGORITHMS,
  VERITY_BLOCK_SIZE,
  type VerityAlgorithm,
} from "../../formats/fsverity/index.ts";
import { alignUp, equalBytes } from "../../lib/bytes/numbers.ts";
import { FormatError, SealwrightError } from "../../lib/errors.ts";
import type { DiskSource } from "./file-source.ts";

/** The root file system, with the way to its bulk data. */
export interface RootVolume {
  readonly disk: DiskSource;
  /** Of the partition, bytes. */
  readonly offset: number;
  readonly volume: Ext4Volume;
}

/** What one range of the contents gives. */
export interface RangeCheck {
  /** Hashes of the leaf blocks; of a file of one block, the hash of that. */
  readonly parents: Uint8Array;
  /** Byte of the file where the first block starts that the stored leaves do not fit. */
  readonly firstDifference?: number;
}

/** What is wrong with what is stored beside the contents. */
export type StoredFault =
  | "verity-missing"
  | "descriptor-missing"
  | "descriptor-differs"
  | "tree-differs"
  | "padding-not-zero";

export interface FileCheck {
  /** Recomputed from the contents; hex, which is half the memory of so many small arrays. */
  readonly digest: string;
  /** Byte of the file where the first block starts that the stored leaves do not fit. */
  readonly firstDifference?: number;
  readonly fault?: StoredFault;
  /** Byte of the file, in the metadata behind its end. */
  readonly faultAt?: number;
}

/** What could not be read: the refusal, as far as it can travel between threads. */
export interface Unreadable {
  readonly code: string;
  readonly message: string;
}

/** One file that cannot be read says nothing about the next. */
export function attempt<T>(work: () => T): T | Unreadable {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof SealwrightError)) throw error;
    return { code: error.code, message: error.message };
  }
}

/**
 * Checks a range of the contents against its leaves.
 *
 * @param from a multiple of 1 MiB, as every range of a file but the last has to be long
 * @param scratch holds the range meanwhile
 */
export function checkRange(
  root: RootVolume,
  inode: Ext4Inode,
  algorithm: VerityAlgorithm,
  from: number,
  scratch: Uint8Array,
): RangeCheck {
  readInto(root, inode, from, scratch);
  const leaves = new Uint8Array(leavesSize(scratch.length, algorithm));
  hashBlocks(scratch, algorithm, leaves, 0);
  if (inode.size <= VERITY_BLOCK_SIZE) return { parents: leaves };
  const parents = new Uint8Array(leavesSize(leaves.length, algorithm));
  hashBlocks(leaves, algorithm, parents, 0);
  const { digestSize } = VERITY_ALGORITHMS[algorithm];
  const at = leavesOffset(root.volume, inode, algorithm);
  if (at === undefined) return { parents };
  const stored = readAll(root.volume, inode, at + (from / VERITY_BLOCK_SIZE) * digestSize, leaves.length);
  const differs = firstDifference(leaves, stored);
  if (differs === undefined) return { parents };
  return { parents, firstDifference: from + Math.floor(differs / digestSize) * VERITY_BLOCK_SIZE };
}

/** Completes a check from its ranges, in order. */
export function checkFile(
  { volume }: RootVolume,
  inode: Ext4Inode,
  algorithm: VerityAlgorithm,
  ranges: readonly RangeCheck[],
): FileCheck {
  const { levels, rootHash } = buildMerkleTree(Buffer.concat(ranges.map(({ parents }) => parents)), algorithm);
  const descriptor = encodeDescriptor(inode.size, rootHash, algorithm);
  const digest = hash(algorithm, descriptor, "hex");
  const differing = ranges.find(({ firstDifference: at }) => at !== undefined)?.firstDifference;
  const fault = findFault(volume, inode, descriptor, levels);
  if (differing === undefined) return { digest, ...fault };
  const check = { digest, firstDifference: differing, ...fault };
  // With the descriptor that the contents give, it is not they that do not fit the leaves.
  if (fault.fault !== undefined && fault.fault !== "padding-not-zero") return check;
  const leaf = (differing / VERITY_BLOCK_SIZE) * VERITY_ALGORITHMS[algorithm].digestSize;
  return { ...check, fault: "tree-differs", faultAt: (leavesOffset(volume, inode, algorithm) ?? 0) + leaf };
}

function findFault(
  volume: Ext4Volume,
  inode: Ext4Inode,
  descriptor: Uint8Array,
  upperLevels: readonly Uint8Array[],
): Pick<FileCheck, "fault" | "faultAt"> {
  if (!inode.isVerity) return { fault: "verity-missing" };
  const metadata = findMetadata(volume, inode);
  if (metadata === undefined) return { fault: "descriptor-missing" };
  const { descriptor: stored, treeOffset } = metadata;
  if (!equalBytes(stored, descriptor)) return { fault: "descriptor-differs" };
  let at = treeOffset;
  for (const level of upperLevels) {
    const differs = firstDifference(level, readAll(volume, inode, at, level.length));
    if (differs !== undefined) return { fault: "tree-differs", faultAt: at + differs };
    at += level.length;
  }
  // The kernel hashes the last block as it is on the disk, also behind the end of the file.
  const padding = readAll(volume, inode, inode.size, alignUp(inode.size, VERITY_BLOCK_SIZE) - inode.size);
  const dirty = padding.findIndex((byte) => byte !== 0);
  return dirty === -1 ? {} : { fault: "padding-not-zero", faultAt: inode.size + dirty };
}

function findMetadata(volume: Ext4Volume, inode: Ext4Inode): ReturnType<typeof readVerityMetadata> | undefined {
  try {
    return readVerityMetadata(volume, inode);
  } catch (error) {
    if (error instanceof FormatError && error.code.startsWith("ext4.verity.")) return undefined;
    throw error;
  }
}

/** Where the leaves start, behind the levels above them; undefined without metadata. */
function leavesOffset(volume: Ext4Volume, inode: Ext4Inode, algorithm: VerityAlgorithm): number | undefined {
  const metadata = findMetadata(volume, inode);
  if (metadata === undefined) return undefined;
  let upper = 0;
  for (let size = leavesSize(inode.size, algorithm); size > VERITY_BLOCK_SIZE; ) {
    size = leavesSize(size, algorithm);
    upper += alignUp(size, VERITY_BLOCK_SIZE);
  }
  return metadata.treeOffset + upper;
}

function firstDifference(a: Uint8Array, b: Uint8Array): number | undefined {
  if (equalBytes(a, b)) return undefined;
  const at = a.findIndex((byte, index) => byte !== b[index]);
  return at === -1 ? a.length : at;
}

const readAll = (volume: Ext4Volume, inode: Ext4Inode, from: number, size: number): Uint8Array =>
  Buffer.concat([...readFile(volume, inode, from, size)]);

/** Reads contents past all caches. */
function readInto({ disk, offset, volume }: RootVolume, inode: Ext4Inode, from: number, into: Uint8Array): void {
  const to = from + into.length;
  let done = from;
  for (const range of readFileRanges(volume, inode)) {
    const start = Math.max(from, range.offset);
    const end = Math.min(to, range.offset + range.size);
    if (start >= end) continue;
    into.fill(0, done - from, start - from);
    disk.fill(offset + range.block * volume.blockSize + start - range.offset, into.subarray(start - from, end - from));
    done = end;
  }
  into.fill(0, done - from);
}
