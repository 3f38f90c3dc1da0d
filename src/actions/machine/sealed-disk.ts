import { computeAuthenticodeDigest } from "../../formats/authenticode/index.ts";
import { readInode } from "../../formats/ext4/index.ts";
import { parseGpt, partitionOffset, partitionSize } from "../../formats/gpt/index.ts";
import { findText, parseUki } from "../../formats/uki/index.ts";
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
import { type DiskPatch, type PlacedFile, placeFat, RootFiles, type StoredFile } from "./placed-file.ts";
import { findVictim, type Victim } from "./victim.ts";

export interface PlacedProgram extends PlacedFile {
  readonly bytes: Uint8Array;
  /** SHA-256, what PCR 4 is extended with. */
  readonly digest: Uint8Array;
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

const byName = (a: EspFile, b: EspFile): number => (a.path < b.path ? -1 : 1);
