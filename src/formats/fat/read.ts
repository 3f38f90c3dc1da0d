import { getField, viewOf } from "../../lib/bytes/field.ts";
import { FormatError, quote } from "../../lib/errors.ts";
import { fromDosTime } from "./directory.ts";
import {
  ATTRIBUTE,
  ATTRIBUTE_MASK,
  DIR_ENTRY,
  DIR_ENTRY_SIZE,
  DIRECTORY_ENTRIES_MAX,
  FAT_ENTRY,
  FIRST_CLUSTER,
  FREE_ENTRY,
  LAST_LONG_ENTRY,
  LONG_ENTRY,
  LONG_ENTRY_UNITS,
  SHORT_NAME_SIZE,
} from "./layout.ts";
import { foldName, shortNameChecksum } from "./names.ts";
import type { FatVolume } from "./volume.ts";

export interface FatEntry {
  /** The long name where there is one. */
  readonly name: string;
  /** `NAME.EXT`; bytes above 0x7f as they are. */
  readonly shortName: string;
  readonly kind: "file" | "directory";
  /** Bytes; 0 for directories. */
  readonly size: number;
  /** 0 for empty files. */
  readonly cluster: number;
  /** Of the last change, seconds since 1970 if the clock was UTC. */
  readonly modified: number;
}

/** Neighbouring clusters of a file. */
interface ClusterRun {
  readonly cluster: number;
  readonly count: number;
}

/** Most bytes in one chunk of a file. */
const CHUNK_SIZE = 1 << 20;

/**
 * Entries of a directory in stored order, without ".", ".." and the volume label.
 *
 * @param directory the root when absent
 * @throws {FormatError} `fat.chain.*`, `fat.directory.*`
 */
export function readFatDirectory(volume: FatVolume, directory?: FatEntry): FatEntry[] {
  const entries: FatEntry[] = [];
  let longName: LongName | undefined;
  for (const entry of directoryEntries(volume, directory)) {
    if (entry[0] === FREE_ENTRY) {
      longName = undefined;
      continue;
    }
    const view = viewOf(entry);
    const attributes = getField(view, DIR_ENTRY.attributes) & ATTRIBUTE_MASK;
    if (attributes === ATTRIBUTE.LONG_NAME) {
      longName = continueLongName(longName, view);
      continue;
    }
    const isDot = entry[0] === 0x2e;
    if ((attributes & ATTRIBUTE.VOLUME_ID) === 0 && !isDot)
      entries.push(parseEntry(volume, entry, attributes, longName));
    longName = undefined;
  }
  return entries;
}

/**
 * Finds a file or directory by path; case does not matter.
 *
 * @returns undefined when a component is absent or no directory
 */
export function findFatEntry(volume: FatVolume, path: string): FatEntry | undefined {
  let found: FatEntry | undefined;
  for (const name of path.split("/")) {
    if (name === "") continue;
    if (found?.kind === "file") return undefined;
    const wanted = foldName(name);
    found = readFatDirectory(volume, found).find(
      (entry) => foldName(entry.name) === wanted || foldName(entry.shortName) === wanted,
    );
    if (found === undefined) return undefined;
  }
  return found;
}

/**
 * The bytes of a file.
 *
 * @returns chunks of at most 1 MiB, views into the source where it gives views
 * @throws {FormatError} `fat.chain.*`
 */
export function* readFatFile(volume: FatVolume, file: FatEntry): Generator<Uint8Array, void, void> {
  const what = `FAT file ${quote(file.name)}`;
  let left = file.size;
  for (const { cluster, count } of clusterRuns(volume, file.cluster, Math.ceil(left / volume.clusterSize), what)) {
    const start = volume.clusterOffset(cluster);
    const size = Math.min(left, count * volume.clusterSize);
    for (let at = 0; at < size; at += CHUNK_SIZE) {
      yield volume.source.read(start + at, Math.min(CHUNK_SIZE, size - at));
    }
    left -= size;
  }
  if (left > 0) {
    throw new FormatError("fat.chain.short", {
      what: `${what}: cluster chain`,
      expected: `clusters for ${file.size} bytes`,
      found: `${left} bytes less`,
    });
  }
}

/** Entries up to the first that was never used. */
function* directoryEntries(volume: FatVolume, directory: FatEntry | undefined): Generator<Uint8Array, void, void> {
  for (const bytes of directoryBytes(volume, directory)) {
    for (let at = 0; at < bytes.length; at += DIR_ENTRY_SIZE) {
      if (bytes[at] === 0) return;
      yield bytes.subarray(at, at + DIR_ENTRY_SIZE);
    }
  }
}

function* directoryBytes(volume: FatVolume, directory: FatEntry | undefined): Generator<Uint8Array, void, void> {
  if (directory === undefined && volume.root.kind === "region") {
    yield volume.source.read(volume.root.offset, volume.root.size);
    return;
  }
  if (directory?.kind === "file") {
    throw new FormatError("fat.directory.kind", {
      what: quote(directory.name),
      expected: "a directory",
      found: "a file",
    });
  }
  const first = directory?.cluster ?? (volume.root.kind === "chain" ? volume.root.cluster : 0);
  // A directory says no size; no chain that the format allows is longer than this, so a loop ends here.
  const most = Math.ceil((DIRECTORY_ENTRIES_MAX * DIR_ENTRY_SIZE) / volume.clusterSize);
  const what = `FAT directory ${quote(directory?.name ?? "/")}`;
  for (const { cluster, count } of clusterRuns(volume, first, most, what)) {
    for (let i = 0; i < count; i++) {
      yield volume.source.read(volume.clusterOffset(cluster + i), volume.clusterSize);
    }
  }
}

/** Follows a chain for at most `most` clusters and joins neighbours. */
function* clusterRuns(volume: FatVolume, first: number, most: number, what: string): Generator<ClusterRun, void, void> {
  const { firstEnd } = FAT_ENTRY[volume.type];
  let cluster = first;
  for (let left = most; left > 0 && cluster < firstEnd; ) {
    const start = cluster;
    let next = start;
    let count = 0;
    do {
      requireCluster(volume, next, what);
      cluster = next;
      next = volume.nextCluster(cluster);
      count++;
    } while (next === cluster + 1 && count < left);
    yield { cluster: start, count };
    left -= count;
    cluster = next;
  }
}

function requireCluster(volume: FatVolume, cluster: number, what: string): void {
  const end = FIRST_CLUSTER + volume.clusterCount;
  if (cluster >= FIRST_CLUSTER && cluster < end) return;
  throw new FormatError("fat.chain.cluster", {
    what: `${what}: cluster chain`,
    expected: `a cluster from ${FIRST_CLUSTER} to ${end - 1}`,
    found: `0x${cluster.toString(16)}`,
  });
}

/** Units of a long name so far, last part first, and what must follow. */
interface LongName {
  readonly units: string;
  readonly checksum: number;
  /** Number of the entry before the one that is expected; 1 when the name is whole. */
  readonly order: number;
}

/** Parts out of order make no long name: what follows has its short one only, as other readers do. */
function continueLongName(before: LongName | undefined, view: DataView): LongName | undefined {
  const stored = getField(view, LONG_ENTRY.order);
  const checksum = getField(view, LONG_ENTRY.checksum);
  const isLast = (stored & LAST_LONG_ENTRY) !== 0;
  const order = stored & ~LAST_LONG_ENTRY;
  const continues = before !== undefined && before.order === order + 1 && before.checksum === checksum;
  if (order === 0 || order > 20 || (!isLast && !continues)) return undefined;
  const part = String.fromCharCode(...LONG_ENTRY_UNITS.map((at) => view.getUint16(at, true)));
  return { units: part + (isLast ? "" : (before?.units ?? "")), checksum, order };
}

function parseEntry(
  volume: FatVolume,
  entry: Uint8Array,
  attributes: number,
  longName: LongName | undefined,
): FatEntry {
  const view = viewOf(entry);
  const shortName = parseShortName(entry);
  const isWhole = longName?.order === 1 && longName.checksum === shortNameChecksum(entry);
  const name = isWhole ? (longName.units.split("\0", 1)[0] as string) : shortName;
  if (name === "" || /[/\0]/.test(name) || name === "." || name === "..") {
    throw new FormatError("fat.directory.name", {
      what: "FAT directory entry: name",
      expected: `a name without "/" and NUL`,
      found: quote(name),
    });
  }
  const isDirectory = (attributes & ATTRIBUTE.DIRECTORY) !== 0;
  const clusterHi = volume.type === "fat32" ? getField(view, DIR_ENTRY.clusterHi) : 0;
  return {
    name,
    shortName,
    kind: isDirectory ? "directory" : "file",
    size: isDirectory ? 0 : getField(view, DIR_ENTRY.fileSize),
    cluster: clusterHi * 0x1_0000 + getField(view, DIR_ENTRY.clusterLo),
    modified: fromDosTime({
      date: getField(view, DIR_ENTRY.writeDate),
      time: getField(view, DIR_ENTRY.writeTime),
    }),
  };
}

/** Where the lower-case bits of Windows NT are, for the name and for the extension. */
const CASE_BYTE = 12;
const LOWER_NAME = 0x08;
const LOWER_EXTENSION = 0x10;

function parseShortName(entry: Uint8Array): string {
  const bytes = Buffer.from(entry.subarray(0, SHORT_NAME_SIZE));
  if (bytes[0] === 0x05) bytes[0] = 0xe5; // stands for the byte that would mean "free"
  const caseBits = entry[CASE_BYTE] as number;
  const fold = (text: string, bit: number): string => ((caseBits & bit) !== 0 ? text.toLowerCase() : text);
  const name = fold(bytes.subarray(0, 8).toString("latin1").trimEnd(), LOWER_NAME);
  const extension = fold(bytes.subarray(8).toString("latin1").trimEnd(), LOWER_EXTENSION);
  return extension === "" ? name : `${name}.${extension}`;
}
