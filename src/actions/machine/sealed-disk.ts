import { computeAuthenticodeDigest } from "../../formats/authenticode/index.ts";
import { type Ext4Inode, type Ext4Volume, findInode, readFileRanges } from "../../formats/ext4/index.ts";
import type { FatVolume } from "../../formats/fat/index.ts";
import { parseGpt, partitionOffset } from "../../formats/gpt/index.ts";
import { findText, parseUki } from "../../formats/uki/index.ts";
import { type ByteString, byteString, showByteString } from "../../lib/bytes/byte-string.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { NotFoundError, PolicyError } from "../../lib/errors.ts";
import { treeFromErofs } from "../../model/composefs/index.ts";
import { type EspFile, findEspFile, isBelow, listEspFiles, readEspFile } from "../../model/disk/esp.ts";
import { openDisk } from "../../model/disk/open-disk.ts";
import { openEsp, openRoot } from "../../model/disk/partitions.ts";
import { readRootFile } from "../../model/disk/stored-repository.ts";
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

/** What a sealed disk says it will run, read without booting it. */
export interface SealedDisk {
  /** Of the UKI, trimmed as the stub does. */
  readonly commandLine: string;
  /** The digest that the command line names, lower-case hex. */
  readonly digest: string;
  readonly bootLoader: PlacedProgram;
  readonly uki: PlacedProgram;
  readonly image: PlacedFile;
  /** A file of the tree that no boot needs, and the object behind it. */
  readonly victim: { readonly path: string; readonly object: PlacedFile } | undefined;
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
  const files = listEspFiles(esp.volume);
  const program = (file: EspFile): PlacedProgram => {
    const bytes = readEspFile(esp.volume, file);
    return {
      ...placeFat(esp.volume, file, partitionOffset(esp.partition)),
      bytes,
      digest: computeAuthenticodeDigest(bytes),
    };
  };
  const bootLoader = BOOT_LOADERS.map((name) => findEspFile(files, name)).find((file) => file !== undefined);
  if (bootLoader === undefined) throw absent("no-boot-loader", "no EFI/BOOT/BOOT*.EFI on the ESP");
  const uki = program(onlyUki(files));
  const commandLine = (findText(parseUki(uki.bytes), ".cmdline") ?? "").trim();
  const digest = /(?:^|\s)composefs=([0-9a-f]{128})(?=\s|$)/.exec(commandLine)?.[1];
  if (digest === undefined) {
    throw new PolicyError("machine.disk.not-sealed", `${uki.path}: its command line names no digest that must hold`);
  }
  const root = openRoot(disk.source, table);
  const rootAt = partitionOffset(root.partition);
  const imagePath = `composefs/images/${digest}`;
  const inode = findObject(root.volume, digest);
  if (inode === undefined) throw absent("no-image", `no image ${digest.slice(0, 16)}… on the root file system`);
  const image = readRootFile(root.volume, inode, "EROFS image", IMAGE_SIZE_MAX);
  return {
    commandLine,
    digest,
    uki,
    bootLoader: program(bootLoader),
    image: placeExt4(root.volume, inode, imagePath, rootAt),
    victim: findVictim(treeFromErofs(image).root, (hex, name) => {
      const object = findObject(root.volume, hex);
      return object === undefined ? undefined : placeExt4(root.volume, object, name, rootAt);
    }),
  };
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

const findObject = (volume: Ext4Volume, hex: string): Ext4Inode | undefined =>
  findInode(volume, byteString(`composefs/objects/${hex.slice(0, 2)}/${hex.slice(2)}`));

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
function findVictim(
  root: Directory,
  open: (hex: string, path: string) => PlacedFile | undefined,
): SealedDisk["victim"] {
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
    if (object !== undefined) return { path: `/${path}`, object };
  }
  return undefined;
}

const show = (name: ByteString): string => showByteString(name);
