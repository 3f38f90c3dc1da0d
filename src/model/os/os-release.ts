import { parseEnvFile } from "../../formats/uki/index.ts";
import type { Tree } from "../tree/tree.ts";
import { findFirstFile, type OsFile } from "./files.ts";

/** What an os-release file says about the OS; everything it has is in `values`. */
export interface OsRelease {
  /** Lower-case name without spaces; `linux` when the file has none, as os-release(5) rules. */
  readonly id: string;
  readonly versionId?: string;
  /** For people: PRETTY_NAME, else NAME, else ID. */
  readonly name: string;
  readonly values: ReadonlyMap<string, string>;
}

/** @see os-release(5); values are quoted as in a shell */
export function parseOsRelease(bytes: Uint8Array): OsRelease {
  const values = parseEnvFile(new TextDecoder().decode(bytes));
  const id = values.get("ID") ?? "linux";
  const versionId = values.get("VERSION_ID");
  const name = values.get("PRETTY_NAME") ?? values.get("NAME") ?? id;
  return { id, ...(versionId === undefined ? {} : { versionId }), name, values };
}

/** The os-release file that goes into a UKI: the vendor's, for /etc is the administrator's. */
export function findOsRelease(tree: Tree): OsFile | undefined {
  return findFirstFile(tree, ["/usr/lib/os-release", "/etc/os-release"]);
}
