/**
 * Which source package the files of a tree come from, by the databases of dpkg, RPM and pacman in it.
 *
 * Grouped by source package, for its binary packages are built and updated together. Paths are looked up as a system
 * would, through symbolic links to directories: on a merged /usr, dpkg lists `/bin/sh` for what is `/usr/bin/sh`.
 */
import { parseAlpmSection } from "../../formats/alpm/index.ts";
import { parseDpkgFileList, parseDpkgMd5sums, parseDpkgStatus } from "../../formats/dpkg/index.ts";
import { parseRpmFileLists } from "../../formats/rpmdb/index.ts";
import { type ByteString, showByteString } from "../../lib/bytes/byte-string.ts";
import { SealwrightError } from "../../lib/errors.ts";
import { type Content, type Leaf, lookup, sortedEntries, type Tree, type TreeNode } from "../tree/tree.ts";
import { findPackageDatabases, type PackageDatabase } from "./databases.ts";
import type { PackageManager } from "./package.ts";

/** The files of one package. */
interface PackageFiles {
  readonly manager: PackageManager | "alpm";
  /** Name of the source package. */
  readonly source: string;
  /** Absolute or relative to the root; directories among them. */
  readonly paths: readonly ByteString[];
}

/** A database that cannot be read. */
export interface OwnersProblem {
  readonly code: string;
  readonly message: string;
}

export interface PackageOwners {
  /** `dpkg/glibc`, `rpm/systemd`, `alpm/linux`; of several owners the first by name. */
  readonly owners: ReadonlyMap<Leaf, string>;
  readonly problems: readonly OwnersProblem[];
}

/** Bytes of files of the tree. */
type Read = (contents: readonly Content[]) => Promise<Uint8Array[]>;

/** One thing to read, and what it says; several contents are parsed together where one explains the other. */
interface Listing {
  readonly contents: readonly Content[];
  parse(bytes: readonly Uint8Array[]): readonly PackageFiles[];
}

/**
 * Finds the owner of every file that a package manager knows. Everything is read at once, since a tree reads each layer
 * involved from its start.
 */
export async function findPackageOwners(tree: Tree, read: Read): Promise<PackageOwners> {
  const listings = [...dpkgListings(tree), ...rpmListings(tree), ...alpmListings(tree)];
  const bytes = (await read(listings.flatMap(({ contents }) => contents))).values();
  const problems: OwnersProblem[] = [];
  const packages = listings.flatMap((listing) => {
    const own = listing.contents.map(() => bytes.next().value as Uint8Array);
    try {
      return listing.parse(own);
    } catch (error) {
      if (!(error instanceof SealwrightError)) throw error;
      problems.push({ code: error.code, message: error.message });
      return [];
    }
  });
  return { owners: claim(tree, packages), problems };
}

function claim(tree: Tree, packages: readonly PackageFiles[]): ReadonlyMap<Leaf, string> {
  const owners = new Map<Leaf, string>();
  for (const { manager, paths, source } of packages) {
    const name = `${manager}/${source}`;
    for (const path of paths) {
      const node = lookupThroughLinks(tree, path);
      if (node === undefined || node.kind === "directory") continue;
      const owner = owners.get(node);
      if (owner === undefined || name < owner) owners.set(node, name);
    }
  }
  return owners;
}

/** Symbolic links followed on the way to one file, as Linux has it (MAXSYMLINKS). */
const MAX_LINKS = 40;

/** The node of a path; symbolic links are followed on the way to it, and the last component is taken as it is. */
function lookupThroughLinks(tree: Tree, path: ByteString): TreeNode | undefined {
  const open = path.split("/").reverse();
  const above: TreeNode[] = [];
  let node: TreeNode = tree.root;
  for (let name = open.pop(), links = 0; name !== undefined; name = open.pop()) {
    if (name === "" || name === ".") continue;
    if (name === "..") {
      node = above.pop() ?? tree.root;
      continue;
    }
    const next: TreeNode | undefined = node.kind === "directory" ? node.entries.get(name as ByteString) : undefined;
    if (next === undefined) return undefined;
    if (next.kind === "symlink" && open.some((rest) => rest !== "")) {
      if (++links > MAX_LINKS) return undefined;
      if (next.target.startsWith("/")) [node, above.length] = [tree.root, 0];
      open.push(...next.target.split("/").reverse());
      continue;
    }
    above.push(node);
    node = next;
  }
  return node;
}

function dpkgListings(tree: Tree): Listing[] {
  return findPackageDatabases(tree)
    .filter(({ manager }) => manager === "dpkg")
    .map((database) =>
      database.path.includes("/status.d/") ? distrolessListing(tree, database) : dpkgListing(tree, database),
    );
}

/** The status file, which knows the sources, and `info/NAME.list` or `info/NAME:ARCHITECTURE.list` beside it. */
function dpkgListing(tree: Tree, { content, path }: PackageDatabase): Listing {
  const info = filesIn(tree, path.replace(/[^/]*$/, "info"), ".list");
  return {
    contents: [content, ...info.map((file) => file.content)],
    parse([status, ...lists]) {
      const packages = parseDpkgStatus(status as Uint8Array, path);
      const sources = new Map(packages.map(({ name, source = name }) => [name, source]));
      return info.map(({ name }, index) => {
        const [own = ""] = name.split(":");
        const paths = parseDpkgFileList(lists[index] as Uint8Array);
        return { manager: "dpkg", source: sources.get(own) ?? own, paths };
      });
    },
  };
}

/** Of distroless: what a package is, and its sums beside it. */
function distrolessListing(tree: Tree, { content, path }: PackageDatabase): Listing {
  const sums = lookup(tree, `${path}.md5sums`);
  return {
    contents: sums?.kind === "file" ? [content, sums.content] : [],
    parse([status, list]) {
      if (status === undefined || list === undefined) return [];
      const paths = parseDpkgMd5sums(list);
      return parseDpkgStatus(status, path).map(({ name, source = name }) => ({ manager: "dpkg", source, paths }));
    },
  };
}

function rpmListings(tree: Tree): Listing[] {
  return findPackageDatabases(tree)
    .filter(({ manager }) => manager === "rpm")
    .map(({ content, path }) => ({
      contents: [content],
      parse: ([bytes]) =>
        parseRpmFileLists(bytes as Uint8Array, path).map(({ paths, source }) => ({ manager: "rpm", source, paths })),
    }));
}

const ALPM_DIRECTORIES = ["/usr/lib/sysimage/lib/pacman/local", "/usr/lib/pacman/local", "/var/lib/pacman/local"];

function alpmListings(tree: Tree): Listing[] {
  const found = ALPM_DIRECTORIES.map((path) => lookup(tree, path)).find((node) => node?.kind === "directory");
  if (found?.kind !== "directory") return [];
  return sortedEntries(found).flatMap(([, node]) => {
    if (node.kind !== "directory") return [];
    const [desc, files] = ["desc", "files"].map((name) => node.entries.get(name as ByteString));
    if (desc?.kind !== "file" || files?.kind !== "file") return [];
    return [{ contents: [desc.content, files.content], parse: parseAlpmPackage }];
  });
}

function parseAlpmPackage([desc, files]: readonly Uint8Array[]): PackageFiles[] {
  const [name, base] = ["NAME", "BASE"].map((section) => parseAlpmSection(desc as Uint8Array, section)[0]);
  const source = showByteString((base ?? name ?? "") as ByteString);
  return [{ manager: "alpm", source, paths: parseAlpmSection(files as Uint8Array, "FILES") }];
}

function filesIn(tree: Tree, path: string, ending: string): { readonly name: string; readonly content: Content }[] {
  const directory = lookup(tree, path);
  if (directory?.kind !== "directory") return [];
  return sortedEntries(directory).flatMap(([name, node]) =>
    node.kind === "file" && name.endsWith(ending)
      ? [{ name: showByteString(name.slice(0, -ending.length) as ByteString), content: node.content }]
      : [],
  );
}
