/** Installs the Debian packages that a script or a test calls programs of. */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { run } from "./run.ts";

const APT_LISTS = "/var/lib/apt/lists";
const LISTS_MAX_AGE_MS = 24 * 60 * 60 * 1000;

/** Reads a list of package names: one a line, `#` starts a comment. */
export function readPackageList(path: string): readonly string[] {
  const lines = readFileSync(path, "utf8").split("\n");
  return lines.map((line) => line.replace(/#.*/, "").trim()).filter((name) => name !== "");
}

/** Installs what is missing when we are root; otherwise says what to run, and ends the process. */
export function requireDebianPackages(names: readonly string[]): void {
  const missing = missingPackages(names);
  if (missing.length === 0) return;
  const install = ["apt-get", "install", "--yes", "--no-install-recommends", ...missing];
  if (process.getuid?.() !== 0) {
    console.error(`Debian packages are missing. Run this as root, then try again:\n\n  ${install.join(" ")}\n`);
    process.exit(1);
  }
  console.log(`== installing ${missing.length} Debian packages: ${missing.join(" ")}`);
  if (!listsAreFresh()) run(apt("update"), { quiet: true });
  // Lists that look fresh can still name a version that the server has replaced.
  if (run(apt("install", ...install.slice(2)), { quiet: true, mayFail: true })) return;
  run(apt("update"), { quiet: true });
  run(apt("install", ...install.slice(2)), { quiet: true });
}

function apt(command: string, ...args: string[]): [string, ...string[]] {
  const options = ["-q", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3"];
  return ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", ...options, command, ...args];
}

function missingPackages(names: readonly string[]): readonly string[] {
  // oxlint-disable-next-line no-template-curly-in-string -- the variables are dpkg-query's
  const format = "${db:Status-Abbrev} ${Package}\n";
  const query = spawnSync("dpkg-query", ["--show", `--showformat=${format}`, ...names], { encoding: "utf8" });
  if (query.error !== undefined) {
    console.error("dpkg-query is not here: this script installs packages on Debian only");
    process.exit(1);
  }
  const lines = query.stdout.split("\n").filter((line) => line.startsWith("ii "));
  const installed = new Set(lines.map((line) => line.split(" ").at(-1)));
  return names.filter((name) => !installed.has(name));
}

function listsAreFresh(): boolean {
  try {
    const releases = readdirSync(APT_LISTS).filter((name) => name.endsWith("Release"));
    const times = releases.map((name) => statSync(`${APT_LISTS}/${name}`).ctimeMs);
    return times.length > 0 && Date.now() - Math.max(...times) < LISTS_MAX_AGE_MS;
  } catch {
    return false;
  }
}
