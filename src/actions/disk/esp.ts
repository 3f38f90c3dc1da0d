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
}

export interface Entry {
  /** On the ESP. */
  readonly path: string;
  readonly text: string;
}

/** Every file of the ESP by its path. */
export function listEspFiles(input: EspInput, entry: Entry): Map<string, EspFile> {
  const { addonFiles, contentOf, id, keys, parts } = input;
  const { architecture } = parts;
  const files = new Map<string, EspFile>();
  const add = (path: string, file: EspFile): void => {
    if (files.has(path)) {
      throw new PolicyError("disk.esp-name-twice", `ESP: two files want the name ${path}`, {
        hint: "rename one of the addons or key directories",
      });
    }
    files.set(path, file);
  };
  for (const path of [ESP.fallbackLoader(architecture), ESP.loader(architecture)]) {
    add(path, contentOf(parts.loader.content));
  }
  if (parts.type === "uki") {
    add(ESP.uki(id), contentOf(parts.uki.content));
    for (const [name, content] of parts.addons) add(ESP.addon(id, name), contentOf(content));
    for (const [name, content] of addonFiles) add(ESP.addon(id, name), bytes(content));
  } else {
    add(`${ESP.kernelDirectory(id)}/vmlinuz`, contentOf(parts.vmlinuz.content));
    add(`${ESP.kernelDirectory(id)}/initrd`, contentOf(parts.initramfs.content));
  }
  add(ESP.loaderConfig, bytes("timeout 5\n"));
  add(ESP.entriesStandard, bytes("type1\n"));
  add(entry.path, bytes(entry.text));
  for (const [path, content] of parts.keys) add(`${ESP.keys}/${path}`, contentOf(content));
  for (const [path, content] of keys) add(`${ESP.keys}/${path}`, bytes(content));
  return files;
}

function bytes(text: string | Uint8Array): EspFile {
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
    parts,
  }: Pick<EspInput, "parts" | "id" | "kernelArguments" | "allowMissingVerity">,
  role: EntryRole,
): Entry {
  const { id: osId, name, values, versionId } = parts.osRelease;
  const version = versionId ?? values.get("VERSION") ?? id;
  const head = { title: name, version };
  const keys: Readonly<Record<string, string>> =
    parts.type === "uki"
      ? { ...head, [(parts.loaderVersion ?? 0) >= UKI_KEY_SINCE ? "uki" : "efi"]: `/${ESP.uki(id)}` }
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
