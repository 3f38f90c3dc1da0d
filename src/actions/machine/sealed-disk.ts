import { computeAuthenticodeDigest } from "../../formats/authenticode/index.ts";
import {
  type EntryChange,
  type Ext4Inode,
  type Ext4Patch,
  type Ext4Volume,
  findInode,
  patchEntry,
  patchVerityAway,
  readFileRanges,
  readInode,
} from "../../formats/ext4/index.ts";
import type { FatVolume } from "../../formats/fat/index.ts";
import { parseGpt, partitionOffset, partitionSize } from "../../formats/gpt/index.ts";
import { findText, parseUki } from "../../formats/uki/index.ts";
import { type ByteString, byteString, showByteString } from "../../lib/bytes/byte-string.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { NotFoundError, PolicyError } from "../../lib/errors.ts";
import { treeFromErofs } from "../../model/composefs/index.ts";
import { readBootMenu } from "../../model/disk/boot-menu.ts";
import { type EspFile, findEspFile, isBelow, listEspFiles, readEspFile } from "../../model/disk/esp.ts";
import { openDisk } from "../../model/disk/open-disk.ts";
import { openEsp, openRoot } from "../../model/disk/partitions.ts";
import { readRootFile } from "../../model/disk/stored-repository.ts";
import { architectureOf } from "../../model/machine/disk-kind.ts";
import type { Architecture } from "../../model/machine/firmware.ts";
import { ADDON_SUFFIX } from "../../model/os/index.ts";
import type { Directory, TreeNode } from "../../model/tree/tree.ts";

/** A file of the disk, and where each of its bytes is. */
export interface PlacedFile {
  readonly path: string;
  readonly size: number;
  /** From the start of the disk. */
  place(offset: number): number;
}

export interface PlacedProgram extends PlacedFile {
  readonly bytes: Uint8Array;
  /** SHA-256, what PCR 4 is extended with. */
  readonly digest: Uint8Array;
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

export interface Victim {
  /** In the tree, with leading slash. */
  readonly path: string;
  /** Its digest, lower-case hex. */
  readonly hex: string;
  readonly object: StoredFile;
}

/** The ESP as a whole, to be written anew. */
export interface StoredEsp {
  /** From the start of the disk. */
  readonly offset: number;
  readonly size: number;
  readonly volumeId: number;
  readonly label: string;
  readonly files: ReadonlyMap<string, Uint8Array>;
}

/** What a sealed disk says it will run, read without booting it. */
export interface SealedDisk {
  readonly architecture: Architecture;
  /** Of the UKI and behind it those of its addons, trimmed and joined as the stub does. */
  readonly commandLine: string;
  /** The digest that the command line names, lower-case hex. */
  readonly digest: string;
  readonly bootLoader: PlacedProgram;
  readonly uki: PlacedProgram;
  /** What the stub loads besides, in its order. */
  readonly addons?: readonly PlacedProgram[];
  readonly image: StoredFile;
  /** A file of the tree that no boot needs, and the object behind it. */
  readonly victim: Victim | undefined;
  /** The name of one leads to the contents of the other. */
  readonly swapped: { readonly image: DiskPatch; readonly object: DiskPatch } | undefined;
  /** What the repository says of itself. */
  readonly meta: StoredFile | undefined;
  readonly esp: StoredEsp;
  /** The entry that starts the UKI; absent where systemd-boot finds the UKI by itself. */
  readonly entry: string | undefined;
}

const BOOT_LOADERS = ["EFI/BOOT/BOOTX64.EFI", "EFI/BOOT/BOOTAA64.EFI"];
const IMAGE_SIZE_MAX = 1 << 30;

/**
 * Reads what a disk with one sealed deployment is made of.
 *
 * @throws {NotFoundError} `machine.disk.no-boot-loader`, `machine.disk.no-uki`, `machine.disk.no-image`
 * @throws {PolicyError} `machine.disk.several-ukis`, `machine.disk.not-sealed`
 * @throws {FormatError} `gpt.…`, `fat.…`, `ext4.…`, `pe.…`, `erofs.…`
 */
export async function loadSealedDisk(path: string): Promise<SealedDisk> {
  await using disk = await openDisk(path);
  const table = parseGpt(disk.source);
  const esp = openEsp(disk.source, table);
  const espFiles = listEspFiles(esp.volume);
  const program = (file: EspFile): PlacedProgram => {
    const bytes = readEspFile(esp.volume, file);
    return {
      ...placeFat(esp.volume, file, partitionOffset(esp.partition)),
      bytes,
      digest: computeAuthenticodeDigest(bytes),
    };
  };
  const bootLoader = BOOT_LOADERS.map((name) => findEspFile(espFiles, name)).find((file) => file !== undefined);
  if (bootLoader === undefined) throw absent("no-boot-loader", "no EFI/BOOT/BOOT*.EFI on the ESP");
  const uki = program(onlyUki(espFiles));
  const addons = addonsOf(espFiles, uki).map(program);
  const commandLine = joinCommandLines([uki, ...addons]);
  const digest = /(?:^|\s)composefs=([0-9a-f]{128})(?=\s|$)/.exec(commandLine)?.[1];
  if (digest === undefined) {
    throw new PolicyError("machine.disk.not-sealed", `${uki.path}: its command line names no digest that must hold`);
  }
  const root = openRoot(disk.source, table);
  const files = new RootFiles(root.volume, partitionOffset(root.partition));
  const image = files.find(objectPath(digest), `composefs/images/${digest}`);
  if (image === undefined) throw absent("no-image", `no image ${digest.slice(0, 16)}… on the root file system`);
  const inode = readInode(root.volume, image.ino);
  const tree = treeFromErofs(readRootFile(root.volume, inode, "EROFS image", IMAGE_SIZE_MAX));
  const victim = findVictim(tree.root, (hex, name) => files.find(objectPath(hex), name));
  return {
    architecture: architectureOf(table),
    commandLine,
    digest,
    uki,
    addons,
    bootLoader: program(bootLoader),
    image,
    victim,
    swapped: victim && {
      image: files.replace(objectPath(digest), victim.object.ino),
      object: files.replace(objectPath(victim.hex), image.ino),
    },
    meta: files.find("composefs/meta.json"),
    esp: {
      offset: partitionOffset(esp.partition),
      size: partitionSize(esp.partition),
      volumeId: esp.volume.volumeId,
      label: esp.volume.label,
      files: new Map(espFiles.map((file) => [file.path, readEspFile(esp.volume, file)])),
    },
    entry: readBootMenu(esp.volume, espFiles).entries.find(({ entry }) => entry !== undefined)?.path,
  };
}

/** Those of all UKIs, then those of this one, each by name (systemd-stub(7), "Companion Files"). */
function addonsOf(files: readonly EspFile[], uki: PlacedProgram): EspFile[] {
  const byName = (a: EspFile, b: EspFile): number => (a.path < b.path ? -1 : 1);
  const inDirectory = (directory: string): EspFile[] =>
    files.filter((file) => isBelow(file, directory) && file.path.toLowerCase().endsWith(ADDON_SUFFIX)).sort(byName);
  return [...inDirectory("loader/addons"), ...inDirectory(`${uki.path}.extra.d`)];
}

function joinCommandLines(programs: readonly PlacedProgram[]): string {
  const lines = programs.map(({ bytes }) => (findText(parseUki(bytes), ".cmdline") ?? "").trim());
  return lines.filter((line) => line !== "").join(" ");
}

function onlyUki(files: readonly EspFile[]): EspFile {
  const ukis = files.filter(
    (file) => isBelow(file, "EFI/Linux") && /\.efi$/i.test(file.path) && !/\.addon\.efi$/i.test(file.path),
  );
  const [uki, ...more] = ukis;
  if (uki === undefined) throw absent("no-uki", "no unified kernel image below EFI/Linux on the ESP");
  if (more.length > 0) {
    throw new PolicyError("machine.disk.several-ukis", `${ukis.length} unified kernel images on the ESP, expected one`);
  }
  return uki;
}

function absent(what: string, message: string): NotFoundError {
  return new NotFoundError(`machine.disk.${what}`, `disk: ${message}`);
}

const objectPath = (hex: string): string => `composefs/objects/${hex.slice(0, 2)}/${hex.slice(2)}`;

function placeFat(volume: FatVolume, { entry, path }: EspFile, base: number): PlacedFile {
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
class RootFiles {
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
    if (directory === undefined) throw absent("no-directory", `no ${path.slice(0, slash)} on the root file system`);
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

/** Licences and documents: read by people, in no boot. */
const HARMLESS = /^usr\/share\/(?:common-licenses|doc|licenses|man|locale|zoneinfo)\//;

/** Finds the first file of the tree, by path, that nothing needs and whose content is an object of its own. */
function findVictim(root: Directory, open: (hex: string, path: string) => StoredFile | undefined): Victim | undefined {
  const uses = new Map<string, string[]>();
  const visit = (node: TreeNode, path: string): void => {
    if (node.kind === "directory") {
      for (const [name, child] of node.entries) visit(child, path === "" ? show(name) : `${path}/${show(name)}`);
    } else if (node.kind === "file" && node.content.kind === "external" && node.content.digests.sha512 !== undefined) {
      const hex = toHex(node.content.digests.sha512);
      uses.set(hex, [...(uses.get(hex) ?? []), path]);
    }
  };
  visit(root, "");
  const candidates = [...uses]
    .filter(([, paths]) => paths.length === 1 && HARMLESS.test(paths[0] ?? ""))
    .map(([hex, [path = ""]]) => ({ hex, path }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
  for (const { hex, path } of candidates) {
    const object = open(hex, path);
    if (object !== undefined) return { path: `/${path}`, hex, object };
  }
  return undefined;
}

const show = (name: ByteString): string => showByteString(name);
