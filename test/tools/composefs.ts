import { type ExecFileSyncOptions, execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The release that has composefs 1.0.8; Debian 12 has none. Its packages are unpacked here and never installed. */
const SUITE = "forky";
/** The tool, and the libraries it must find at least as new as it was built with. */
const PACKAGES = ["composefs", "libcomposefs1", "libc6", "libssl3t64", "libzstd1", "zlib1g"];
const MULTIARCH = "usr/lib/x86_64-linux-gnu";

const cache = fileURLToPath(new URL("../../.cache", import.meta.url));
const root = join(cache, `debian-${SUITE}-composefs`);

/** Runs the C `mkcomposefs` of Debian, fetched on first use with its own libc and loader. */
export function mkcomposefs(args: readonly string[], options: ExecFileSyncOptions = {}): Buffer {
  if (!existsSync(root)) fetchTools();
  const libraries = join(root, MULTIARCH);
  const argv = ["--library-path", libraries, join(root, "usr/bin/mkcomposefs"), ...args];
  return Buffer.from(execFileSync(join(libraries, "ld-linux-x86-64.so.2"), argv, { maxBuffer: 1 << 30, ...options }));
}

/** apt checks the signature of the release with the keys of this system; all its state is private. */
function fetchTools(): void {
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(join(cache, "fetch-"));
  try {
    for (const directory of ["state/lists/partial", "cache/archives/partial", "debs", "root"]) {
      mkdirSync(join(work, directory), { recursive: true });
    }
    writeFileSync(join(work, "sources.list"), `deb [arch=amd64] http://deb.debian.org/debian ${SUITE} main\n`);
    const options = [
      `Dir::Etc::sourcelist=${work}/sources.list`,
      "Dir::Etc::sourceparts=-",
      `Dir::State=${work}/state`,
      "Dir::State::status=/dev/null",
      `Dir::Cache=${work}/cache`,
      "APT::Architecture=amd64",
      "APT::Sandbox::User=",
      "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
    ].flatMap((option) => ["-o", option]);
    const apt = (...args: string[]): Buffer =>
      execFileSync("apt-get", [...options, "-qq", ...args], { cwd: join(work, "debs"), stdio: "pipe" });
    apt("update");
    apt("download", ...PACKAGES);
    execFileSync("sh", ["-c", 'for deb in debs/*.deb; do dpkg-deb -x "$deb" root || exit 1; done'], { cwd: work });
    if (!existsSync(root)) renameSync(join(work, "root"), root);
  } catch (cause) {
    throw new Error(`composefs of Debian ${SUITE} cannot be had: apt-get, dpkg-deb and deb.debian.org are needed`, {
      cause,
    });
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
