import { compareDpkgVersions, parseDpkgStatus } from "../../formats/dpkg/index.ts";
import { compareRpmVersions, parseRpmdb, showRpmVersion } from "../../formats/rpmdb/index.ts";
import type { PackageDatabase } from "./databases.ts";

export type PackageManager = "dpkg" | "rpm";

/** An installed package. */
export interface Package {
  readonly manager: PackageManager;
  readonly name: string;
  /** As its manager writes it: with an epoch where there is one, and the revision or release. */
  readonly version: string;
  /** In the words of its manager; empty where the database has none. */
  readonly architecture: string;
  /** Bytes, by the package's own account. */
  readonly installedSize?: number;
}

/**
 * @param bytes of the database
 * @throws {FormatError} `dpkg.status.…`, `rpmdb.…`
 * @throws {UnsupportedError} `rpmdb.berkeley-db`
 */
export function parsePackages({ manager, path }: PackageDatabase, bytes: Uint8Array): Package[] {
  if (manager === "dpkg") return parseDpkgStatus(bytes, path).map((found) => ({ manager, ...found }));
  return parseRpmdb(bytes, path).map(({ architecture, installedSize, name, ...version }) => ({
    manager,
    name,
    version: showRpmVersion(version),
    architecture,
    ...(installedSize === undefined ? {} : { installedSize }),
  }));
}

/** @returns below 0, 0 or above 0: `a` is older than, as old as, newer than `b` by the rules of their manager */
export function compareVersions(manager: PackageManager, a: string, b: string): number {
  return manager === "dpkg" ? compareDpkgVersions(a, b) : compareRpmVersions(a, b);
}
