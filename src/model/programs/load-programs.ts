import { parseGpt } from "../../formats/gpt/index.ts";
import { isPe } from "../../formats/pe/index.ts";
import { FormatError, quote } from "../../lib/errors.ts";
import type { Progress } from "../../lib/progress.ts";
import { fold, listEspFiles, readEspFile } from "../disk/esp.ts";
import { isDiskFile, openDisk } from "../disk/open-disk.ts";
import { openEsp } from "../disk/partitions.ts";
import { exists, loadFile, openInputFile, readExactly } from "../host-io/files.ts";
import { ADDON_SUFFIX, ARCHITECTURES, findBootLoader, findUkis, type OsFile } from "../os/index.ts";
import type { Registries } from "../registry/index.ts";
import { openTreeSource, type TreeSource } from "../source/tree-source.ts";

export type ProgramRole = "boot-loader" | "uki" | "addon" | "other";

/** A program that firmware is asked to start, or that the stub asks firmware to verify. */
export interface EfiProgram {
  /** In the image or on the ESP; of a file, its own path. */
  readonly path: string;
  readonly role: ProgramRole;
  readonly bytes: Uint8Array;
}

export interface ProgramSet {
  /** As it was named. */
  readonly name: string;
  readonly kind: "image" | "disk" | "file";
  /** Of an image, when its config says. */
  readonly created?: string;
  /** Of an image. */
  readonly manifestDigest?: string;
  readonly programs: readonly EfiProgram[];
}

export interface LoadProgramsOptions {
  readonly platform?: string | undefined;
  /** Needed for an image in a registry. */
  readonly registries?: Registries | undefined;
  readonly cacheDirectory?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly progress?: Progress | undefined;
}

/** Safety limit: the sizes in a PE have 32 bits. */
const MAX_PE_SIZE = 2 ** 32 - 1;

/**
 * Finds the EFI programs in what is named: the ones an image brings to an ESP, those on the ESP of a disk, or the one
 * that a file is. What a file is, its first bytes tell.
 *
 * @throws {FormatError} `programs.kind`; `pe.…`, `gpt.…`, `fat.…` when it is not what it seems to be
 * @throws what opening an image throws
 */
export async function loadPrograms(name: string, options: LoadProgramsOptions = {}): Promise<ProgramSet> {
  switch (await kindOf(name)) {
    case "file":
      return { name, kind: "file", programs: [await loadProgram(name)] };
    case "disk":
      return { name, kind: "disk", programs: await loadFromDisk(name) };
    default:
      return await loadFromImage(name, options);
  }
}

async function kindOf(name: string): Promise<"file" | "disk" | "image"> {
  if (!(await exists(name))) return "image";
  if (await isDiskFile(name)) return "disk";
  await using handle = await openInputFile(name, "EFI program or disk");
  const head = await readExactly(handle, name, 0, Math.min(2, handle.byteSize), "EFI program");
  if (head.toString("latin1") === "MZ") return "file";
  throw new FormatError("programs.kind", {
    what: quote(name),
    expected: "an EFI program, a raw or qcow2 disk, or an image",
    found: "none of them",
  });
}

async function loadProgram(path: string): Promise<EfiProgram> {
  const bytes = await loadFile(path, `EFI program ${path}`, MAX_PE_SIZE, "pe.too-large");
  return { path, role: roleOf(path), bytes };
}

/** By the name alone, which is what firmware, boot loader and stub go by. */
function roleOf(path: string): ProgramRole {
  const folded = fold(path);
  if (folded.endsWith(ADDON_SUFFIX)) return "addon";
  if (/(?:^|\/)efi\/linux\/.*\.efi$/.test(folded)) return "uki";
  return /(?:^|\/)efi\/(?:boot|systemd)\/.*\.efi$/.test(folded) ? "boot-loader" : "other";
}

async function loadFromDisk(path: string): Promise<EfiProgram[]> {
  await using disk = await openDisk(path);
  const { volume } = openEsp(disk.source, parseGpt(disk.source));
  return listEspFiles(volume)
    .filter((file) => fold(file.path).endsWith(".efi"))
    .map((file) => ({ path: file.path, role: roleOf(file.path), bytes: readEspFile(volume, file) }))
    .filter(({ bytes }) => isPe(bytes));
}

async function loadFromImage(name: string, options: LoadProgramsOptions): Promise<ProgramSet> {
  await using source = await openTreeSource(name, { ...options, algorithms: ["sha512"] });
  const { image } = source;
  const created = image?.config.created;
  return {
    name,
    kind: "image",
    ...(created ? { created } : {}),
    ...(image === undefined ? {} : { manifestDigest: image.manifestDigest }),
    programs: await programsOf(source),
  };
}

/** Boot loaders, UKIs and addons of an OS tree. */
export async function programsOf(source: TreeSource): Promise<EfiProgram[]> {
  const loaders = ARCHITECTURES.flatMap((architecture) => {
    const { systemdBoot, systemdBootSigned } = findBootLoader(source.tree, architecture);
    return [systemdBoot, systemdBootSigned].filter((file) => file !== undefined);
  }).map((file): [OsFile, ProgramRole] => [file, "boot-loader"]);
  const ukis = findUkis(source.tree).map((file): [OsFile, ProgramRole] => [
    file,
    file.kind === "uki" ? "uki" : "addon",
  ]);
  const found = [...loaders, ...ukis];
  const contents = await source.read(found.map(([{ content }]) => content));
  return found.map(([{ path }, role], index) => ({ path, role, bytes: contents[index] as Uint8Array }));
}
