/** The ESP of an updated disk: the new deployment starts first, the one that started so far comes second. */
import {
  compareMenuItems,
  ENTRY_SIZE_MAX,
  findDefault,
  type MenuItem,
  parseBootEntry,
} from "../../../formats/bls/index.ts";
import { PolicyError } from "../../../lib/errors.ts";
import { inFile } from "../../../lib/in-file.ts";
import type { MenuEntry } from "../../../model/disk/boot-menu.ts";
import { findEspFile, fold, readEspFile, type EspFile as StoredFile } from "../../../model/disk/esp.ts";
import { ESP, entryFileName, entrySortKey } from "../../../model/disk/layout.ts";
import { StoredEspFile } from "../../../model/disk/stored-content.ts";
import type { OsProblem } from "../../../model/os/index.ts";
import { readLoaderVersion } from "../boot-parts.ts";
import { addBootFiles, bytes, type Entry, type EspFile, makeEntry } from "../esp.ts";
import type { Deployment } from "../load-deployment.ts";
import { deploymentOf, type StartedDeployment, type StoredDisk } from "./stored-disk.ts";

export interface EspUpdate {
  readonly files: ReadonlyMap<string, EspFile>;
  readonly entry: Entry;
  /** Path of the entry that starts the deployment that stays. */
  readonly secondary?: string;
  readonly warnings: readonly OsProblem[];
}

export interface EspUpdateInput {
  readonly stored: StoredDisk;
  readonly deployment: Deployment;
  /** The deployment that stays beside it. */
  readonly kept: StartedDeployment | undefined;
  readonly kernelArguments: readonly string[];
  readonly allowMissingVerity: boolean;
}

/**
 * The boot loader stays as it is, and so does every file that is none of bootc's. Entries of deployments that go are
 * removed with what they start.
 *
 * @throws {PolicyError} `disk.esp-name-twice`
 */
export function updateEsp(input: EspUpdateInput): EspUpdate {
  const { deployment, kept, stored } = input;
  const keptId = kept?.deployment.id;
  const { parts } = deployment;
  const files = new StoredFiles(stored);
  const entry = makeEntry(
    { ...input, parts, id: deployment.id, loaderVersion: findLoaderVersion(stored, deployment) },
    "primary",
  );
  const secondary = kept && demote(stored, kept, deployment);
  const own = [entry, ...(secondary === undefined ? [] : [secondary])];
  const others = stored.menu.entries.filter((item) => item !== kept?.entry && !isDropped(item, keptId));
  for (const item of stored.menu.entries) if (!others.includes(item)) files.remove(item.path);
  for (const { path, text } of own) files.put(path, bytes(text));
  removeBootFiles(files, keptId);
  addBootFiles({ add: (path, file) => files.put(path, file) }, deployment);
  return {
    files: files.byPath,
    entry,
    ...(secondary === undefined ? {} : { secondary: secondary.path }),
    warnings: [...warnOfAddons(stored, deployment), ...warnOfOrder(stored, own, others)],
  };
}

/** An entry of a deployment that goes. Those of others stay. */
function isDropped(item: MenuEntry, keptId: string | undefined): boolean {
  const id = deploymentOf(item);
  return item.entry !== undefined && id !== undefined && id !== keptId;
}

/** Files of the ESP by path; in a name that is there, the case stays as it is. */
class StoredFiles {
  readonly byPath = new Map<string, EspFile>();
  readonly #names = new Map<string, string>();

  constructor({ esp, files }: StoredDisk) {
    for (const { entry, path } of files) {
      const content = new StoredEspFile(esp.volume, entry);
      this.put(path, { size: entry.size, content, modified: entry.modified });
    }
  }

  put(path: string, file: EspFile): void {
    this.byPath.set(this.#stored(path), file);
  }

  remove(path: string): void {
    this.byPath.delete(this.#stored(path));
  }

  /** The path as FAT, which tells no case, has it. */
  #stored(path: string): string {
    let stored = "";
    for (const name of path.split("/")) {
      const below = stored === "" ? name : `${stored}/${name}`;
      const known = this.#names.get(fold(below));
      if (known === undefined) this.#names.set(fold(below), below);
      stored = known ?? below;
    }
    return stored;
  }
}

/** Of the systemd-boot on the ESP, which reads the entries. */
function findLoaderVersion({ esp, files }: StoredDisk, { parts }: Deployment): number | undefined {
  const versions = [ESP.fallbackLoader(parts.architecture), ESP.loader(parts.architecture)]
    .map((path) => findEspFile(files, path))
    .filter((file): file is StoredFile => file !== undefined)
    .map((file) => inFile(file.path, () => readLoaderVersion(readEspFile(esp.volume, file))));
  // Firmware starts either. One that does not tell its version is not assumed to know new keys.
  return versions.length === 0 ? undefined : Math.min(...versions.map((version) => version ?? 0));
}

/**
 * The entry of the deployment that stays, as the second: all of it but its name and sort key is as it was.
 *
 * The sort key has the name of the new OS, so that the two entries are ordered by their numbers.
 */
function demote({ esp, files }: StoredDisk, { entry }: StartedDeployment, { parts }: Deployment): Entry {
  const { path, version = "0" } = entry;
  const { id: osId } = parts.osRelease;
  const file = findEspFile(files, path) as StoredFile;
  const lines = Buffer.from(readEspFile(esp.volume, file, ENTRY_SIZE_MAX))
    .toString("utf8")
    .trimEnd()
    .split(/\r?\n/);
  const others = lines.filter((line) => !/^[ \t]*sort-key[ \t]/.test(line));
  return {
    path: `${ESP.entries}/${secondaryName(nameOf(path), osId, version)}`,
    text: `${[...others, `sort-key ${entrySortKey(osId, "secondary")}`].join("\n")}\n`,
  };
}

const nameOf = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

/** The name that bootc gives to the second entry. A boot counter stays. */
function secondaryName(name: string, osId: string, version: string): string {
  const [, stem, counter] = /^(bootc_.*)-[01](\+[^/]*)?\.conf$/i.exec(name) ?? [];
  if (stem !== undefined) return `${stem}-0${counter ?? ""}.conf`;
  return entryFileName(osId, version.replace(/[^A-Za-z0-9.+~^_-]/g, "_"), "secondary");
}

/** UKIs with their addons, and kernels, that no entry starts any more. */
function removeBootFiles(files: StoredFiles, keptId: string | undefined): void {
  const started = new Set<string>();
  for (const [path, file] of files.byPath) {
    if (!fold(path).startsWith(`${ESP.entries}/`)) continue;
    for (const [, id] of textOf(file).matchAll(/bootc_composefs-([0-9a-f]+)/gi)) started.add(fold(id as string));
  }
  if (keptId !== undefined) started.add(keptId);
  for (const path of files.byPath.keys()) {
    const [, id] = /^efi\/linux\/(?:bootc\/)?bootc_composefs-([0-9a-f]+)[./]/.exec(fold(path)) ?? [];
    if (id !== undefined && !started.has(id)) files.remove(path);
  }
}

function textOf({ content, size }: EspFile): string {
  if (content instanceof Uint8Array) return Buffer.from(content).toString("latin1");
  if (content.kind !== "stored" || size > ENTRY_SIZE_MAX) return "";
  return Buffer.concat([...content.read(0, size)].map((chunk) => Buffer.from(chunk))).toString("latin1");
}

/** bootc carries no addon over, either: it is signed for a UKI that may be another now. */
function warnOfAddons({ current, files }: StoredDisk, { addonFiles, parts }: Deployment): OsProblem[] {
  const below = fold(`${ESP.uki(current.deployment.id)}.extra.d/`);
  const before = files
    .filter(({ path }) => fold(path).startsWith(below))
    .map(({ path }) => path.split("/").at(-1) ?? "");
  const now = new Set([...addonFiles.keys(), ...(parts.type === "uki" ? parts.addons.keys() : [])]);
  const gone = before.filter((name) => !now.has(name));
  if (gone.length === 0) return [];
  const message = `the deployment before has the addon ${gone.join(", ")}, the new one does not`;
  return [{ code: "disk.update.addon-left", message, hint: "name it again with --uki-addon" }];
}

/** What systemd-boot would start, once it reads the new entries beside those of others. */
function warnOfOrder({ menu }: StoredDisk, own: readonly Entry[], others: readonly MenuEntry[]): OsProblem[] {
  const [entry] = own as [Entry];
  const parsed = own.map(({ path, text }) => ({ ...parseBootEntry(Buffer.from(text), nameOf(path)), path }));
  const items = [...parsed, ...others].sort(compareMenuItems);
  const first = findDefault<MenuItem & { readonly path: string }>(items, menu.conf?.default);
  if (first === undefined || first.path === entry.path) return [];
  const cause =
    menu.conf?.default === undefined ? "its sort key" : `"default ${menu.conf.default}" in ${ESP.loaderConfig}`;
  const message = `${first.path} boots before the new entry, by ${cause}`;
  return [
    { code: "disk.update.not-first", message, hint: `choose ${entry.path} in the menu, or change what is before it` },
  ];
}

/** @throws {PolicyError} `disk.update.unsealed` */
export function requireSealedStays({ current }: StoredDisk, { parts }: Deployment): void {
  if (parts.type === "uki" || current.entry.uki === undefined) return;
  throw new PolicyError(
    "disk.update.unsealed",
    "the disk boots a sealed image, the new one is not sealed: nothing would vouch for its kernel and command line",
    { hint: "seal it first: sealwright seal; or build a disk of its own: sealwright disk build" },
  );
}
