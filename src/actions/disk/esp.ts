/** The tree of the ESP. */
import type { FatDirectory, FatNode } from "../../formats/fat/index.ts";
import { PolicyError } from "../../lib/errors.ts";
import type { DiskContent } from "../../model/disk/content.ts";
import { type EntryRole, ESP, entryFileName, entrySortKey } from "../../model/disk/layout.ts";
import type { Content } from "../../model/tree/tree.ts";
import type { BootParts } from "./boot-parts.ts";

export interface EspInput {
  readonly parts: BootParts;
  /** Of the deployment. */
  readonly id: string;
  /** For unsealed images: everything on the command line but the digest, before and after it. */
  readonly kernelArguments: readonly string[];
  readonly allowMissingVerity: boolean;
  /** Addons that are no part of the image, by file name. */
  readonly addonFiles: ReadonlyMap<string, Uint8Array>;
  /** Variables to enrol, by path below `loader/keys`. */
  readonly keys: ReadonlyMap<string, Uint8Array>;
  readonly contentOf: (content: Content) => EspFile;
}

export interface EspFile {
  readonly size: number;
  readonly content: DiskContent;
  /** Seconds since 1970; the time of the volume when absent. */
  readonly modified?: number;
}

export interface Entry {
  /** On the ESP. */
  readonly path: string;
  readonly text: string;
}

/** Every file of the ESP by its path. */
export function listEspFiles(input: EspInput, entry: Entry): Map<string, EspFile> {
  const { contentOf, keys, parts } = input;
  const { architecture } = parts;
  const files = new EspFiles();
  for (const path of [ESP.fallbackLoader(architecture), ESP.loader(architecture)]) {
    files.add(path, contentOf(parts.loader.content));
  }
  addBootFiles(files, input);
  files.add(ESP.loaderConfig, bytes("timeout 5\n"));
  files.add(ESP.entriesStandard, bytes("type1\n"));
  files.add(entry.path, bytes(entry.text));
  for (const [path, content] of parts.keys) files.add(`${ESP.keys}/${path}`, contentOf(content));
  for (const [path, content] of keys) files.add(`${ESP.keys}/${path}`, bytes(content));
  return files.byPath;
}

/** Files by path; each name once. */
export class EspFiles {
  readonly byPath = new Map<string, EspFile>();

  /** @throws {PolicyError} `disk.esp-name-twice` */
  add(path: string, file: EspFile): void {
    if (this.byPath.has(path)) {
      throw new PolicyError("disk.esp-name-twice", `ESP: two files want the name ${path}`, {
        hint: "rename one of the addons or key directories",
      });
    }
    this.byPath.set(path, file);
  }
}

/** What an entry of the deployment starts: UKI and addons, or kernel and initramfs. */
export function addBootFiles(
  files: Pick<EspFiles, "add">,
  { addonFiles, contentOf, id, parts }: Pick<EspInput, "addonFiles" | "contentOf" | "id" | "parts">,
): void {
  if (parts.type === "uki") {
    files.add(ESP.uki(id), contentOf(parts.uki.content));
    for (const [name, content] of parts.addons) files.add(ESP.addon(id, name), contentOf(content));
    for (const [name, content] of addonFiles) files.add(ESP.addon(id, name), bytes(content));
  } else {
    files.add(`${ESP.kernelDirectory(id)}/vmlinuz`, contentOf(parts.vmlinuz.content));
    files.add(`${ESP.kernelDirectory(id)}/initrd`, contentOf(parts.initramfs.content));
  }
}

export function bytes(text: string | Uint8Array): EspFile {
  const content = Buffer.from(text);
  return { size: content.length, content };
}

/** First systemd-boot that knows the key `uki`. */
const UKI_KEY_SINCE = 258;

/**
 * The type 1 entry of a deployment, its keys in the order bootc writes them.
 *
 * @see bootc specification, sections 3.6 and 3.7
 */
export function makeEntry(
  {
    allowMissingVerity,
    id,
    kernelArguments,
    loaderVersion,
    parts,
  }: Pick<EspInput, "parts" | "id" | "kernelArguments" | "allowMissingVerity"> & {
    /** Of the systemd-boot that reads it. */
    readonly loaderVersion: number | undefined;
  },
  role: EntryRole,
): Entry {
  const { id: osId, name, values, versionId } = parts.osRelease;
  const version = versionId ?? values.get("VERSION") ?? id;
  const head = { title: name, version };
  const keys: Readonly<Record<string, string>> =
    parts.type === "uki"
      ? { ...head, [(loaderVersion ?? 0) >= UKI_KEY_SINCE ? "uki" : "efi"]: `/${ESP.uki(id)}` }
      : {
          ...head,
          linux: `/${ESP.kernelDirectory(id)}/vmlinuz`,
          initrd: `/${ESP.kernelDirectory(id)}/initrd`,
          options: [
            "rw",
            ...kernelArguments,
            `composefs=${allowMissingVerity ? "?" : ""}${id}`,
            ...parts.kernelArguments.filter((argument) => argument !== "rw"),
          ].join(" "),
        };
  const lines = Object.entries({ ...keys, "sort-key": entrySortKey(osId, role) });
  return {
    path: `${ESP.entries}/${entryFileName(osId, toFileName(version), role)}`,
    text: lines.map(([key, value]) => `${key} ${value}\n`).join(""),
  };
}

/** A version as part of a name on FAT. */
const toFileName = (version: string): string => version.replace(/[^A-Za-z0-9.+~^_-]/g, "_");

export function toFatTree(files: ReadonlyMap<string, EspFile>): FatDirectory<DiskContent> {
  const root = new Map<string, FatNode<DiskContent>>();
  const directories = new Map([["", root]]);
  const directoryOf = (path: string): Map<string, FatNode<DiskContent>> => {
    const known = directories.get(path);
    if (known !== undefined) return known;
    const [parent, name] = splitPath(path);
    const entries = new Map<string, FatNode<DiskContent>>();
    directoryOf(parent).set(name, { kind: "directory", entries });
    directories.set(path, entries);
    return entries;
  };
  for (const [path, file] of files) {
    const [parent, name] = splitPath(path);
    directoryOf(parent).set(name, { kind: "file", ...file });
  }
  return { kind: "directory", entries: root };
}

export function splitPath(path: string): [parent: string, name: string] {
  const slash = path.lastIndexOf("/");
  return [slash === -1 ? "" : path.slice(0, slash), path.slice(slash + 1)];
}
