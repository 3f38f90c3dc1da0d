/**
 * Directories: one block of entries, or an index of name hashes (RO_COMPAT DIR_INDEX) over several.
 *
 *     block 0      . ..  index root: { hash, block } ...      up to 507
 *     block 1..    index nodes, only when 507 leaves are not enough: { hash, block } ..., up to 510
 *     then         leaves: entries whose hash is at least that of their index entry, and below the next one's
 *
 * @see Linux Documentation/filesystems/ext4/directory.rst
 */

import { type ByteString, byteStringToBytes, compareByteStrings, showByteString } from "../../lib/bytes/byte-string.ts";
import { setField, viewOf } from "../../lib/bytes/field.ts";
import { FormatError, quote } from "../../lib/errors.ts";
import { directoryBlockChecksum, indexBlockChecksum } from "./checksums.ts";
import {
  BLOCK_SIZE,
  DIR_ENTRY,
  DIR_ENTRY_HEADER_SIZE,
  DIR_TAIL_SIZE,
  DIR_TAIL_TYPE,
  HASH_HALF_MD4,
  KINDS,
  type Kind,
  NAME_MAX,
} from "./layout.ts";
import { hashName } from "./name-hash.ts";

export interface DirectoryEntry {
  readonly name: ByteString;
  readonly ino: number;
  readonly kind: Kind;
}

/** Entries without inode and kind yet; what a layout needs. */
interface Named {
  readonly name: ByteString;
}

interface Leaf<E> {
  /** Hash that the index has for this leaf; the low bit says that the leaf before ends with the same hash. */
  readonly hash: number;
  readonly entries: readonly E[];
}

/** Entries distributed over blocks. */
export type DirectoryLayout<E extends Named> =
  | { readonly kind: "linear"; readonly entries: readonly E[]; readonly blockCount: number }
  | {
      readonly kind: "indexed";
      readonly leaves: readonly Leaf<E>[];
      readonly nodeCount: number;
      readonly blockCount: number;
    };

const CAPACITY = BLOCK_SIZE - DIR_TAIL_SIZE;
const INDEX_ENTRY_SIZE = 8;
/** Index entries of the root and of a node; the first also holds limit and count, 8 bytes at the end the checksum. */
const ROOT_ENTRIES_AT = 32;
const NODE_ENTRIES_AT = 8;
const ROOT_LIMIT = (BLOCK_SIZE - ROOT_ENTRIES_AT - 8) / INDEX_ENTRY_SIZE;
const NODE_LIMIT = (BLOCK_SIZE - NODE_ENTRIES_AT - 8) / INDEX_ENTRY_SIZE;

const DOT = "." as ByteString;
const DOT_DOT = ".." as ByteString;

const entrySize = (name: ByteString): number => (DIR_ENTRY_HEADER_SIZE + name.length + 3) & ~3;

/**
 * Distributes entries over blocks.
 *
 * @param hashSeed s_hash_seed, 16 bytes
 * @throws {FormatError} `ext4.name`, `ext4.directory-too-large`
 */
export function layoutDirectory<E extends Named>(entries: readonly E[], hashSeed: Uint8Array): DirectoryLayout<E> {
  for (const { name } of entries) requireName(name);
  const size = entries.reduce((sum, { name }) => sum + entrySize(name), entrySize(DOT) + entrySize(DOT_DOT));
  if (size <= CAPACITY) {
    return { kind: "linear", entries: [...entries].sort((a, b) => compareByteStrings(a.name, b.name)), blockCount: 1 };
  }
  const leaves = fillLeaves(entries, hashSeed);
  const nodeCount = leaves.length <= ROOT_LIMIT ? 0 : Math.ceil(leaves.length / NODE_LIMIT);
  if (nodeCount > ROOT_LIMIT) {
    throw new FormatError("ext4.directory-too-large", {
      what: "ext4 directory",
      expected: `at most ${ROOT_LIMIT * NODE_LIMIT} blocks of entries`,
      found: String(leaves.length),
    });
  }
  return { kind: "indexed", leaves, nodeCount, blockCount: 1 + nodeCount + leaves.length };
}

function requireName(name: ByteString): void {
  const bad = name.length === 0 || name.length > NAME_MAX || name === DOT || name === DOT_DOT || /[/\0]/.test(name);
  if (bad) {
    throw new FormatError("ext4.name", {
      what: "ext4 file name",
      expected: `1 to ${NAME_MAX} bytes without "/" and NUL, not "." or ".."`,
      found: quote(showByteString(name)),
    });
  }
}

function fillLeaves<E extends Named>(entries: readonly E[], hashSeed: Uint8Array): Leaf<E>[] {
  const hashed = entries
    .map((entry) => ({ entry, ...hashName(entry.name, hashSeed) }))
    .sort((a, b) => a.major - b.major || a.minor - b.minor || compareByteStrings(a.entry.name, b.entry.name));
  const leaves: { hash: number; entries: E[] }[] = [];
  let room = 0;
  let previous = -1;
  for (const { entry, major } of hashed) {
    const size = entrySize(entry.name);
    if (size > room) {
      leaves.push({ hash: major === previous ? major + 1 : major, entries: [] });
      room = CAPACITY;
    }
    leaves.at(-1)?.entries.push(entry);
    room -= size;
    previous = major;
  }
  return leaves;
}

/** Identity of the directory whose blocks are encoded. */
export interface DirectoryInodes {
  readonly ino: number;
  readonly parentIno: number;
  /** Checksum seed of inode `ino`. */
  readonly seed: number;
}

/** @returns the blocks of a directory in file order, side by side */
export function encodeDirectory(layout: DirectoryLayout<DirectoryEntry>, inodes: DirectoryInodes): Uint8Array {
  const bytes = new Uint8Array(layout.blockCount * BLOCK_SIZE);
  const block = (index: number): Uint8Array => bytes.subarray(index * BLOCK_SIZE, (index + 1) * BLOCK_SIZE);
  if (layout.kind === "linear") {
    fillEntries(block(0), [...dots(inodes), ...layout.entries], inodes.seed);
    for (let index = 1; index < layout.blockCount; index++) fillEntries(block(index), [], inodes.seed);
    return bytes;
  }

  const { leaves, nodeCount } = layout;
  const firstLeaf = 1 + nodeCount;
  const leafIndex = leaves.map(({ hash }, i) => ({ hash, block: firstLeaf + i }));
  const nodes = Array.from({ length: nodeCount }, (_, i) => leafIndex.slice(i * NODE_LIMIT, (i + 1) * NODE_LIMIT));
  const nodeIndex = nodes.map((node, i) => ({ hash: (node[0] as IndexEntry).hash, block: 1 + i }));

  fillIndexRoot(block(0), nodeCount === 0 ? leafIndex : nodeIndex, nodeCount === 0 ? 0 : 1, inodes);
  for (const [i, node] of nodes.entries()) {
    // To a reader that ignores the index, a node is a block with one unused entry.
    setField(viewOf(block(1 + i)), DIR_ENTRY.recordLength, BLOCK_SIZE);
    fillIndex(block(1 + i), NODE_ENTRIES_AT, NODE_LIMIT, node, inodes.seed);
  }
  for (const [i, leaf] of leaves.entries()) fillEntries(block(firstLeaf + i), leaf.entries, inodes.seed);
  return bytes;
}

const dots = ({ ino, parentIno }: DirectoryInodes): DirectoryEntry[] => [
  { name: DOT, ino, kind: "directory" },
  { name: DOT_DOT, ino: parentIno, kind: "directory" },
];

/** Writes entries and the checksum tail; the last entry, or an unused one, reaches up to the tail. */
function fillEntries(block: Uint8Array, entries: readonly DirectoryEntry[], seed: number): void {
  let at = 0;
  for (const [index, entry] of entries.entries()) {
    const size = index === entries.length - 1 ? CAPACITY - at : entrySize(entry.name);
    putEntry(block.subarray(at), entry, size);
    at += size;
  }
  if (entries.length === 0) setField(viewOf(block), DIR_ENTRY.recordLength, CAPACITY);
  const tail = viewOf(block.subarray(CAPACITY));
  setField(tail, DIR_ENTRY.recordLength, DIR_TAIL_SIZE);
  setField(tail, DIR_ENTRY.fileType, DIR_TAIL_TYPE);
  setField(tail, [DIR_ENTRY_HEADER_SIZE, 4], directoryBlockChecksum(seed, block));
}

function putEntry(at: Uint8Array, { name, ino, kind }: DirectoryEntry, recordLength: number): void {
  const view = viewOf(at);
  setField(view, DIR_ENTRY.inode, ino);
  setField(view, DIR_ENTRY.recordLength, recordLength);
  setField(view, DIR_ENTRY.nameLength, name.length);
  setField(view, DIR_ENTRY.fileType, KINDS[kind].entryType);
  at.set(byteStringToBytes(name), DIR_ENTRY_HEADER_SIZE);
}

interface IndexEntry {
  readonly hash: number;
  readonly block: number;
}

function fillIndexRoot(
  block: Uint8Array,
  entries: readonly IndexEntry[],
  levels: number,
  inodes: DirectoryInodes,
): void {
  const [dot, dotDot] = dots(inodes) as [DirectoryEntry, DirectoryEntry];
  putEntry(block, dot, 12);
  putEntry(block.subarray(12), dotDot, BLOCK_SIZE - 12);
  block.set([HASH_HALF_MD4, /* length of this */ 8, levels, 0], 28);
  fillIndex(block, ROOT_ENTRIES_AT, ROOT_LIMIT, entries, inodes.seed);
}

/** The hash of the first entry is not stored: its place holds limit and count. */
function fillIndex(block: Uint8Array, at: number, limit: number, entries: readonly IndexEntry[], seed: number): void {
  const view = viewOf(block);
  for (const [i, entry] of entries.entries()) {
    view.setUint32(at + i * INDEX_ENTRY_SIZE, entry.hash, true);
    view.setUint32(at + i * INDEX_ENTRY_SIZE + 4, entry.block, true);
  }
  view.setUint16(at, limit, true);
  view.setUint16(at + 2, entries.length, true);
  const checksum = indexBlockChecksum(seed, block, at + entries.length * INDEX_ENTRY_SIZE);
  view.setUint32(at + limit * INDEX_ENTRY_SIZE + 4, checksum, true);
}
