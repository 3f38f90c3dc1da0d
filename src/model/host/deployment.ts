import { lstat, readlink } from "node:fs/promises";
import { join } from "node:path";
import { type Origin, parseOrigin } from "../disk/deployments.ts";
import { ROOT } from "../disk/layout.ts";
import { errnoOf, inputError } from "../host-io/errors.ts";
import { loadHostFile } from "./host-file.ts";

/** What a running system keeps beside its tree; no signature covers it. */
export interface HostDeployment {
  readonly hasEtc: boolean;
  /** Where its `var` leads; absent when it is no link. */
  readonly varTarget: string | undefined;
  readonly origin: Origin | undefined;
}

/** Where the physical root file system is, below the root of a running host. */
const SYSROOT = "sysroot";

const ORIGIN_SIZE_MAX = 65_536;

/**
 * Reads the deployment of a digest.
 *
 * @returns `undefined` when there is none
 */
export async function loadDeployment(root: string, digestHex: string): Promise<HostDeployment | undefined> {
  const place = (path: string): string => join(root, SYSROOT, path);
  if ((await kindOf(place(ROOT.deployment(digestHex)))) !== "directory") return undefined;
  const link = place(ROOT.varLink(digestHex).path);
  const origin = await loadHostFile(root, `${SYSROOT}/${ROOT.origin(digestHex)}`, ORIGIN_SIZE_MAX);
  return {
    hasEtc: (await kindOf(place(ROOT.etc(digestHex)))) === "directory",
    varTarget: (await kindOf(link)) === "symlink" ? await readlink(link) : undefined,
    origin: origin && parseOrigin(origin),
  };
}

async function kindOf(path: string): Promise<"directory" | "symlink" | "other" | undefined> {
  try {
    const stat = await lstat(path);
    if (stat.isDirectory()) return "directory";
    return stat.isSymbolicLink() ? "symlink" : "other";
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw inputError(error, "deployment", path);
  }
}

/** Path of an EROFS image in the repository of a running host. */
export const hostImagePath = (root: string, digestHex: string): string =>
  join(root, SYSROOT, ROOT.repository, "images", digestHex);
