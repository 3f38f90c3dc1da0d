/** A disk with Node and a build of this program, for guests that have neither. */
import { cpSync, existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "./disk.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Of what the commands that run on a host import; koffi is there where npm installed it. */
const MODULES = ["@stricli/core", "valibot", "smol-toml", "koffi", "@koromix/koffi-linux-x64"];

/** Where the program is on the disk, and how it is called. */
export const COMPANION_PROGRAM = "node sealwright/bin/sealwright.cjs";

/**
 * Writes the disk.
 *
 * @param directory for what goes onto it
 */
export function writeCompanionDisk(path: string, directory: string): void {
  const program = join(directory, "sealwright");
  mkdirSync(program, { recursive: true });
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  run(process.execPath, [tsc, "-p", join(root, "tsconfig.build.json"), "--outDir", join(program, "dist")]);
  for (const name of ["bin", "package.json"]) cpSync(join(root, name), join(program, name), { recursive: true });
  for (const name of MODULES.filter((each) => existsSync(join(root, "node_modules", each)))) {
    cpSync(join(root, "node_modules", name), join(program, "node_modules", name), { recursive: true });
  }
  cpSync(process.execPath, join(directory, "node"));
  run("mke2fs", ["-q", "-t", "ext4", "-O", "^has_journal", "-d", directory, path, "224M"]);
  rmSync(directory, { recursive: true });
}
