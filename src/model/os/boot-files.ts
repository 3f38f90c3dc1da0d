import { byteString } from "../../lib/bytes/byte-string.ts";
import type { Tree } from "../tree/tree.ts";
import { entriesOf, fileIn, listEntries, type NamedNode, notFile, type OsFile } from "./files.ts";
import { ADDON_DIRECTORY, ENTRY_DIRECTORY, MODULE_DIRECTORY, UKI_DIRECTORY } from "./places.ts";
import type { OsProblem } from "./problem.ts";

export type BootFileKind = "entry" | "uki" | "uki-addon" | "global-addon" | "vmlinuz";

/** One thing that an installer would bring to the ESP. */
export interface BootFile extends OsFile {
  readonly kind: BootFileKind;
  /** Path below the directory that was searched: what it is called on the ESP. */
  readonly name: string;
  /** Kernel release, for what lies below /usr/lib/modules. */
  readonly version?: string;
}

export interface BootFileSearch {
  /** In the order of the reference; the first one decides how the host boots. */
  readonly files: readonly BootFile[];
  /** `kernel.not-file` for a name ending in `.efi` or `.conf` that is no regular file: installers stop there. */
  readonly problems: readonly OsProblem[];
}

/**
 * Everything an installer finds: boot loader entries, UKIs and addons in /boot, then what /usr/lib/modules has.
 *
 * @see bootc specification, section 1.4
 */
export function findBootFiles(tree: Tree): BootFileSearch {
  const modules = listEntries(tree, MODULE_DIRECTORY).filter(({ node }) => node.kind === "directory");
  const found = [
    ...listEntries(tree, ENTRY_DIRECTORY)
      .filter(({ name }) => name.endsWith(".conf"))
      .map((entry) => bootFile(entry, { kind: "entry", name: entry.name })),
    ...efiFiles(listEntries(tree, UKI_DIRECTORY), "uki-addon"),
    ...efiFiles(listEntries(tree, ADDON_DIRECTORY), "global-addon"),
    ...modules.flatMap((module) => efiFiles(below(module), "uki-addon", module.name)),
    ...modules.flatMap(vmlinuzOf),
  ];
  return {
    files: found.filter((one) => "kind" in one),
    problems: found.filter((one) => "code" in one),
  };
}

/** The UKIs and addons among {@link findBootFiles}. */
export function findUkis(tree: Tree): readonly BootFile[] {
  return findBootFiles(tree).files.filter(({ kind }) => kind !== "entry" && kind !== "vmlinuz");
}

const below = ({ node, path }: NamedNode): NamedNode[] => (node.kind === "directory" ? entriesOf(node, path) : []);

function bootFile({ path, node }: NamedNode, rest: Omit<BootFile, "path" | "content">): BootFile | OsProblem {
  return node.kind === "file" ? { ...rest, path, content: node.content } : notFile(path, node);
}

/**
 * Names ending in `.efi`, at any depth.
 *
 * @param addon what a name ending in `.addon.efi` is here
 */
function efiFiles(
  entries: readonly NamedNode[],
  addon: "uki-addon" | "global-addon",
  version?: string,
  prefix = "",
): (BootFile | OsProblem)[] {
  return entries.flatMap((entry) => {
    const name = prefix + entry.name;
    if (entry.node.kind === "directory") return efiFiles(below(entry), addon, version, `${name}/`);
    if (!name.endsWith(".efi")) return [];
    const kind = name.endsWith(".addon.efi") ? addon : "uki";
    return [bootFile(entry, { kind, name, ...(version === undefined ? {} : { version }) })];
  });
}

function vmlinuzOf({ name: version, path, node }: NamedNode): BootFile[] {
  const file = node.kind === "directory" ? fileIn(node, path, byteString("vmlinuz")) : undefined;
  return file === undefined ? [] : [{ ...file, kind: "vmlinuz", name: "vmlinuz", version }];
}
