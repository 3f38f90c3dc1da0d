/** A disk that is there, read as far as an update has to know it; nothing of it is changed. */
import { hash } from "node:crypto";
import type { BootEntry } from "../../../formats/bls/index.ts";
import {
  type Ext4File,
  type Ext4Metadata,
  readExt4Tree,
  readInode,
  readVerityMetadata,
} from "../../../formats/ext4/index.ts";
import { type PartitionTable, parseGpt } from "../../../formats/gpt/index.ts";
import { findComposefsArguments } from "../../../formats/uki/index.ts";
import { PolicyError, SealwrightError, UnsupportedError, VerificationError } from "../../../lib/errors.ts";
import { inFile } from "../../../lib/in-file.ts";
import { type BootMenu, type MenuEntry, readBootMenu } from "../../../model/disk/boot-menu.ts";
import type { DiskContent } from "../../../model/disk/content.ts";
import { readDeployments, type StoredDeployment } from "../../../model/disk/deployments.ts";
import { type EspFile, listEspFiles } from "../../../model/disk/esp.ts";
import { ROOT } from "../../../model/disk/layout.ts";
import { META_SIZE_MAX, parseMeta } from "../../../model/disk/meta.ts";
import type { Disk } from "../../../model/disk/open-disk.ts";
import { type FoundVolume, openEsp, openRoot } from "../../../model/disk/partitions.ts";
import { StoredRootFile } from "../../../model/disk/stored-content.ts";
import { DIRECTORY_MODE, META_FILE } from "../../../model/repository/index.ts";
import { ALGORITHM } from "../load-deployment.ts";
import { at } from "../root-tree.ts";
import { type RootNode, TreeBuilder } from "../tree-builder.ts";

/** A deployment, and the entry that starts it. */
export interface StartedDeployment {
  readonly deployment: StoredDeployment;
  readonly entry: MenuEntry & { readonly entry: BootEntry };
}

export interface StoredDisk {
  readonly disk: Disk;
  readonly table: PartitionTable;
  readonly esp: FoundVolume<ReturnType<typeof openEsp>["volume"]>;
  readonly root: FoundVolume<ReturnType<typeof openRoot>["volume"]>;
  readonly files: readonly EspFile[];
  readonly menu: BootMenu;
  readonly deployments: readonly StoredDeployment[];
  /** The deployment that boots when nobody chooses. */
  readonly current: StartedDeployment;
  /** Others, in the order of the menu. */
  readonly others: readonly StartedDeployment[];
}

/**
 * Reads partition table, boot menu and deployments.
 *
 * @throws {VerificationError} `disk.esp.*`, `disk.root.*`
 * @throws {PolicyError} `disk.update.no-deployment`, `disk.root.not-clean`
 * @throws {UnsupportedError} `disk.root.quotas`; `ext4.needs-recovery`: a machine has to boot or shut down in good order
 * @throws {FormatError} `gpt.*`, `fat.*`, `ext4.*`
 */
export function readStoredDisk(disk: Disk): StoredDisk {
  const table = parseGpt(disk.source);
  const esp = openEsp(disk.source, table);
  const root = openRoot(disk.source, table);
  const { hasQuotas, isClean } = root.volume;
  if (!isClean) {
    throw new PolicyError("disk.root.not-clean", "root file system: found errors noted in it, expected a clean one", {
      hint: "let e2fsck repair it",
    });
  }
  if (hasQuotas) {
    throw new UnsupportedError("disk.root.quotas", "root file system: quotas and projects would be lost by an update", {
      hint: "tune2fs -O ^quota,^project",
    });
  }
  const files = listEspFiles(esp.volume);
  const menu = readBootMenu(esp.volume, files);
  const deployments = readDeployments(root.volume);
  const [current, ...others] = listStarted(menu, deployments);
  if (current !== undefined) return { disk, table, esp, root, files, menu, deployments, current, others };
  throw new PolicyError("disk.update.no-deployment", "found no boot entry that starts a deployment of the disk", {
    hint: "build a disk from the image: sealwright disk build",
  });
}

/** What type 1 entries start, each deployment once, what boots by itself in front. */
function listStarted({ entries, first }: BootMenu, deployments: readonly StoredDeployment[]): StartedDeployment[] {
  const started = new Map<string, StartedDeployment>();
  for (const item of first === undefined ? [] : [first, ...entries]) {
    const id = deploymentOf(item) ?? "";
    const deployment = deployments.find((one) => one.id === id && one.hasEtc);
    if (item.entry === undefined || deployment === undefined || started.has(id)) continue;
    started.set(id, { deployment, entry: item as StartedDeployment["entry"] });
  }
  return [...started.values()];
}

/** The digest of the tree that an entry starts: bootc has it in the names of UKIs, and on command lines. */
export function deploymentOf({ entry, uki }: Pick<MenuEntry, "entry" | "uki">): string | undefined {
  const [, id] = /bootc_composefs-([0-9a-f]+)\.efi$/i.exec(uki ?? "") ?? [];
  if (id !== undefined || entry?.options === undefined) return id;
  try {
    return findComposefsArguments(entry.options)[0]?.digestHex;
  } catch (error) {
    if (error instanceof SealwrightError) return undefined;
    throw error;
  }
}

/** The tree of the root file system. @param meta of everything that is added to it */
export function readRootTree({ root: { volume } }: StoredDisk, meta: Ext4Metadata): TreeBuilder {
  const tree = readExt4Tree<DiskContent>(volume, (ino, offset) => new StoredRootFile(volume, ino, offset));
  return new TreeBuilder(tree, { ...meta, mode: DIRECTORY_MODE });
}

/** Largest file that is read whole: EROFS images and split streams. Safety limit, not a format rule. */
const FILE_SIZE_MAX = 1 << 28;

/**
 * The bytes of a file of the tree.
 *
 * @throws {VerificationError} `disk.file.missing`
 * @throws {UnsupportedError} `disk.file.too-large`
 */
export function readTreeFile(tree: TreeBuilder, path: string, maxSize: number = FILE_SIZE_MAX): Uint8Array {
  const node = tree.find(path);
  if (node?.kind !== "file") {
    const found = node === undefined ? "nothing" : `a ${node.kind}`;
    throw new VerificationError("disk.file.missing", `/${path}: found ${found}, expected a file`, { data: { path } });
  }
  if (node.size > maxSize) {
    throw new UnsupportedError(
      "disk.file.too-large",
      `/${path}: found ${node.size} bytes, expected at most ${maxSize}`,
    );
  }
  return inFile(`/${path}`, () => readStored(node.content, node.size));
}

/** @param content of the disk that is read */
export function readStored(content: DiskContent, size: number): Uint8Array {
  if (content instanceof Uint8Array) return content;
  if (content.kind !== "stored") throw new Error("a content of no disk");
  return Buffer.concat([...content.read(0, size)].map((chunk) => Buffer.from(chunk)));
}

/**
 * The repository must be one that we can add to.
 *
 * @throws {PolicyError} `disk.meta.*`
 */
export function requireRepository(tree: TreeBuilder): void {
  const { algorithm } = parseMeta(readTreeFile(tree, at(META_FILE), META_SIZE_MAX));
  if (algorithm === ALGORITHM) return;
  throw new PolicyError(
    "disk.meta.algorithm-differs",
    `/${ROOT.repository}/${META_FILE}: found ${algorithm}, expected ${ALGORITHM}, which bootc knows`,
    { hint: "build a disk from the image: sealwright disk build" },
  );
}

/** Whether a file of the tree can stand for an object: by its size, its flag, and the digest of its descriptor. */
export function isSoundObject(
  { root: { volume } }: StoredDisk,
  node: RootNode | undefined,
  { hex, size }: { readonly hex: string; readonly size: number },
): node is Ext4File<DiskContent> {
  if (node?.kind !== "file" || node.verity === undefined || node.size !== size) return false;
  if (!(node.content instanceof StoredRootFile)) return false;
  try {
    const { descriptor } = readVerityMetadata(volume, readInode(volume, node.content.ino));
    return hash(ALGORITHM, descriptor, "hex") === hex;
  } catch (error) {
    if (error instanceof SealwrightError) return false;
    throw error;
  }
}
