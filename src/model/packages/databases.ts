import { showByteString } from "../../lib/bytes/byte-string.ts";
import { type Content, lookup, sortedEntries, type Tree } from "../tree/tree.ts";
import type { PackageManager } from "./package.ts";

/** A file of a package manager that says which packages are installed. */
export interface PackageDatabase {
  readonly manager: PackageManager;
  readonly path: string;
  readonly content: Content;
  /** A write-ahead log beside it that holds changes of its own. */
  readonly log?: string;
}

/** Images keep what package managers know below /usr, where a host cannot change it; /var is the ordinary place. */
const DPKG_STATUS = ["/usr/lib/sysimage/dpkg/status", "/var/lib/dpkg/status"];
/** Of distroless: one file a package. */
const DPKG_STATUS_DIRECTORY = "/var/lib/dpkg/status.d";
/** /usr/share/rpm is rpm-ostree's. */
const RPM_DIRECTORIES = ["/usr/lib/sysimage/rpm", "/usr/share/rpm", "/var/lib/rpm"];
/** SQLite, ndb, Berkeley DB: the newest first, for a converted database leaves the older one behind. */
const RPM_DATABASES = ["rpmdb.sqlite", "Packages.db", "Packages"];

/**
 * The databases of a tree. Of several places for the same thing the first counts; symbolic links are not followed, for
 * they lead from one of these places to another.
 */
export function findPackageDatabases(tree: Tree): PackageDatabase[] {
  const rpmPaths = RPM_DIRECTORIES.flatMap((directory) => RPM_DATABASES.map((name) => `${directory}/${name}`));
  return [...findFirst(tree, "dpkg", DPKG_STATUS), ...listStatusDirectory(tree), ...findFirst(tree, "rpm", rpmPaths)];
}

function findFirst(tree: Tree, manager: PackageManager, paths: readonly string[]): PackageDatabase[] {
  for (const path of paths) {
    const node = lookup(tree, path);
    if (node?.kind === "file") return [{ manager, path, content: node.content, ...logBeside(tree, path) }];
  }
  return [];
}

/** SQLite empties its log when a program closes the database properly. */
function logBeside(tree: Tree, path: string): { readonly log?: string } {
  const node = lookup(tree, `${path}-wal`);
  if (node?.kind !== "file") return {};
  const { content } = node;
  const isEmpty = content.kind === "inline" ? content.bytes.length === 0 : content.size === 0n;
  return isEmpty ? {} : { log: `${path}-wal` };
}

function listStatusDirectory(tree: Tree): PackageDatabase[] {
  const directory = lookup(tree, DPKG_STATUS_DIRECTORY);
  if (directory?.kind !== "directory") return [];
  return sortedEntries(directory).flatMap(([name, node]) =>
    node.kind === "file" && !name.endsWith(".md5sums")
      ? [{ manager: "dpkg", path: `${DPKG_STATUS_DIRECTORY}/${showByteString(name)}`, content: node.content }]
      : [],
  );
}
