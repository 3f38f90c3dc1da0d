import { setField, viewOf } from "../../lib/bytes/field.ts";
import type { Piece } from "../../lib/bytes/piece.ts";
import { FormatError, quote } from "../../lib/errors.ts";
import { encodeBootSector, encodeInfoSector } from "./boot-sector.ts";
import {
  assignShortNames,
  countEntries,
  type DosTime,
  type EntryFields,
  encodeEntries,
  type Name,
  toDosTime,
} from "./directory.ts";
import { clusterOffset, computeGeometry, type FatGeometry } from "./geometry.ts";
import {
  ATTRIBUTE,
  BACKUP_BOOT_SECTOR,
  DIR_ENTRY_SIZE,
  FAT_COUNT,
  FAT_ENTRY,
  type FatType,
  FILE_SIZE_MAX,
  FIRST_CLUSTER,
  INFO_SECTOR,
  ROOT_ENTRY_COUNT,
  SECTOR_SIZE,
} from "./layout.ts";
import type { FatDirectory, FatNode } from "./tree.ts";

export interface FatOptions {
  /** Bytes of the partition. */
  readonly size: number;
  /** Volume serial number, 32 bits; tools show it as the UUID `XXXX-XXXX`. */
  readonly volumeId: number;
  /** Time of everything in it that has none of its own, seconds since 1970 (UTC). */
  readonly time: number;
  /** At most 11 upper-case characters of short names, spaces allowed inside. */
  readonly label?: string;
  /** First LBA of the partition, as the boot sector repeats it. */
  readonly hiddenSectors?: number;
}

/** A FAT volume that is laid out and can be written. */
export interface FatPlan<C> {
  readonly type: FatType;
  readonly clusterSize: number;
  readonly freeSize: number;
  /** In ascending order; what is between them is zero. */
  pieces(): Generator<Piece<C>, void, void>;
}

/** A node with its place: `count` clusters from `cluster` on. */
interface Placed<C> {
  readonly node: FatNode<C>;
  readonly cluster: number;
  readonly count: number;
}

interface PlacedDirectory<C> extends Placed<C> {
  readonly parentCluster: number;
  readonly isRoot: boolean;
  readonly children: readonly (readonly [Name, Placed<C>])[];
}

/**
 * Lays out a FAT32 volume, or FAT16 where it is too small for that. Every file and directory is contiguous.
 *
 * Equal input gives equal bytes.
 *
 * @throws {FormatError} `fat.too-small`, `fat.too-large`, `fat.full`, `fat.label`, `fat.name`, `fat.name-twice`,
 *   `fat.file-too-large`, `fat.directory-too-large`
 */
export function planFat<C>(root: FatDirectory<C>, options: FatOptions): FatPlan<C> {
  const geometry = computeGeometry(options.size);
  const label = requireLabel(options.label ?? "");
  const clusterSize = geometry.sectorsPerCluster * SECTOR_SIZE;
  const { placed, nextCluster } = placeAll(root, geometry, label !== "");
  const used = nextCluster - FIRST_CLUSTER;
  if (used > geometry.clusterCount) {
    throw new FormatError(
      "fat.full",
      {
        what: "FAT contents",
        expected: `at most ${geometry.clusterCount} clusters of ${clusterSize} bytes`,
        found: `${used} clusters`,
      },
      { data: { neededBytes: used * clusterSize, bytes: geometry.clusterCount * clusterSize } },
    );
  }
  return {
    type: geometry.type,
    clusterSize,
    freeSize: (geometry.clusterCount - used) * clusterSize,
    pieces: () => emitPieces({ geometry, placed, nextCluster, label, options }),
  };
}

/** @returns 11 characters, or "" for none */
function requireLabel(label: string): string {
  if (label === "") return "";
  if (!/^[A-Z0-9!#$%&'()\-@^_`{}~ ]{1,11}$/.test(label) || label.startsWith(" ")) {
    throw new FormatError("fat.label", {
      what: "FAT volume label",
      expected: "1 to 11 upper-case characters of short names",
      found: quote(label),
    });
  }
  return label.padEnd(11);
}

/** @param extra entries beside those of the names */
function directorySize(names: Iterable<Name>, extra: number): number {
  return [...names].reduce((sum, name) => sum + countEntries(name), extra) * DIR_ENTRY_SIZE;
}

/** Breadth first, so that directories come early; names in order. */
function placeAll<C>(
  root: FatDirectory<C>,
  geometry: FatGeometry,
  hasLabel: boolean,
): { placed: Placed<C>[]; nextCluster: number } {
  const clusterSize = geometry.sectorsPerCluster * SECTOR_SIZE;
  let nextCluster = FIRST_CLUSTER;
  const take = (size: number): { cluster: number; count: number } => {
    const count = Math.ceil(size / clusterSize);
    const cluster = count === 0 ? 0 : nextCluster;
    nextCluster += count;
    return { cluster, count };
  };

  const rootNames = assignShortNames([...root.entries.keys()]);
  const rootSize = directorySize(rootNames.values(), hasLabel ? 1 : 0);
  const hasRootRegion = geometry.type === "fat16";
  if (hasRootRegion && rootSize > ROOT_ENTRY_COUNT * DIR_ENTRY_SIZE) {
    throw new FormatError("fat.directory-too-large", {
      what: "FAT16 root directory",
      expected: `at most ${ROOT_ENTRY_COUNT} entries`,
      found: String(rootSize / DIR_ENTRY_SIZE),
    });
  }
  const rootPlace = hasRootRegion ? { cluster: 0, count: 0 } : take(Math.max(rootSize, 1));
  const queue = [{ node: root, names: rootNames, ...rootPlace, parentCluster: 0, isRoot: true }];
  const placed: Placed<C>[] = [];
  for (const { node, names, ...place } of queue) {
    const children = [...names].map(([name, assigned]): readonly [Name, Placed<C>] => {
      const child = node.entries.get(name) as FatNode<C>;
      if (child.kind === "file") {
        if (child.size > FILE_SIZE_MAX) {
          throw new FormatError("fat.file-too-large", {
            what: `FAT file ${quote(name)}`,
            expected: `at most ${FILE_SIZE_MAX} bytes`,
            found: String(child.size),
          });
        }
        const file = { node: child, ...take(child.size) };
        placed.push(file);
        return [assigned, file];
      }
      const childNames = assignShortNames([...child.entries.keys()]);
      // "." and ".." in front.
      const childPlace = take(directorySize(childNames.values(), 2));
      // ".." of a directory in the root says cluster 0, in FAT32 too.
      const parentCluster = place.isRoot ? 0 : place.cluster;
      queue.push({ node: child, names: childNames, ...childPlace, parentCluster, isRoot: false });
      return [assigned, { node: child, ...childPlace }];
    });
    const directory: PlacedDirectory<C> = { node, ...place, children };
    placed.push(directory);
  }
  return { placed, nextCluster };
}

function* emitPieces<C>(volume: {
  geometry: FatGeometry;
  placed: readonly Placed<C>[];
  nextCluster: number;
  label: string;
  options: FatOptions;
}): Generator<Piece<C>, void, void> {
  const { geometry, placed, nextCluster, label, options } = volume;
  const modified = toDosTime(options.time);
  const boot = encodeBootSector(geometry, { ...options, label });
  yield { offset: 0, bytes: boot };
  if (geometry.type === "fat32") {
    const free = geometry.clusterCount - (nextCluster - FIRST_CLUSTER);
    const info = encodeInfoSector(free, nextCluster);
    yield { offset: INFO_SECTOR * SECTOR_SIZE, bytes: info };
    yield { offset: BACKUP_BOOT_SECTOR * SECTOR_SIZE, bytes: boot };
    yield { offset: (BACKUP_BOOT_SECTOR + INFO_SECTOR) * SECTOR_SIZE, bytes: info };
  }
  const fat = encodeFat(geometry.type, placed, nextCluster);
  for (let copy = 0; copy < FAT_COUNT; copy++) {
    yield { offset: (geometry.reservedSectors + copy * geometry.fatSectors) * SECTOR_SIZE, bytes: fat };
  }
  const byPlace = [...placed].sort((a, b) => a.cluster - b.cluster);
  for (const node of byPlace) {
    if (isDirectory(node)) {
      const rootRegion = (geometry.dataSector - geometry.rootSectors) * SECTOR_SIZE;
      const offset = node.cluster === 0 ? rootRegion : clusterOffset(geometry, node.cluster);
      const bytes = encodeEntries(directoryEntries(node, label, modified));
      if (bytes.length > 0) yield { offset, bytes };
    } else if (node.node.kind === "file" && node.node.size > 0) {
      const { content, size } = node.node;
      yield { offset: clusterOffset(geometry, node.cluster), content, from: 0, size };
    }
  }
}

const isDirectory = <C>(placed: Placed<C>): placed is PlacedDirectory<C> => "children" in placed;

/** Every chain is a row of clusters; entries behind the last one in use are zero, which is free. */
function encodeFat(type: FatType, placed: readonly Placed<unknown>[], nextCluster: number): Uint8Array {
  const { size, endOfChain, reserved } = FAT_ENTRY[type];
  const bytes = new Uint8Array(nextCluster * size);
  const view = viewOf(bytes);
  const put = (cluster: number, value: number): void => setField(view, [cluster * size, size], value);
  for (const [cluster, value] of reserved.entries()) put(cluster, value);
  for (const { cluster, count } of placed) {
    for (let i = 0; i < count; i++) put(cluster + i, i === count - 1 ? endOfChain : cluster + i + 1);
  }
  return bytes;
}

function directoryEntries<C>(directory: PlacedDirectory<C>, label: string, modified: DosTime): EntryFields[] {
  const plain = { longName: undefined, size: 0, modified };
  const dot = (shortName: string, cluster: number): EntryFields => ({
    ...plain,
    shortName: shortName.padEnd(11),
    attributes: ATTRIBUTE.DIRECTORY,
    cluster,
  });
  const head = directory.isRoot
    ? label === ""
      ? []
      : [{ ...plain, shortName: label, attributes: ATTRIBUTE.VOLUME_ID, cluster: 0 }]
    : [dot(".", directory.cluster), dot("..", directory.parentCluster)];
  const entries = directory.children.map(([name, child]): EntryFields => {
    const { node } = child;
    const isFile = node.kind === "file";
    return {
      ...name,
      attributes: isFile ? ATTRIBUTE.ARCHIVE : ATTRIBUTE.DIRECTORY,
      cluster: child.cluster,
      size: isFile ? node.size : 0,
      modified: isFile && node.modified !== undefined ? toDosTime(node.modified) : modified,
    };
  });
  return [...head, ...entries];
}
