/** Debian's `rpm` and `rpmbuild`: real packages, and the database of a system that has them. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface RpmSpec {
  readonly name: string;
  readonly version: string;
  readonly release?: string;
  readonly epoch?: number;
  /** Makes the header as long as that. */
  readonly description?: string;
  /** Absolute paths of files, with nothing in them; directives of a spec may stand before one. */
  readonly files?: readonly string[];
}

const specOf = ({ description = "None.", epoch, files = [], name, release = "1", version }: RpmSpec): string =>
  [
    `Name: ${name}`,
    `Version: ${version}`,
    `Release: ${release}`,
    ...(epoch === undefined ? [] : [`Epoch: ${epoch}`]),
    "Summary: A package",
    "License: none",
    "BuildArch: noarch",
    "%description",
    description,
    ...(files.length === 0
      ? []
      : ["%install", ...files.map((line) => `install -D /dev/null %{buildroot}${line.split(" ").at(-1)}`)]),
    "%files",
    ...files,
    "",
  ].join("\n");

/**
 * Builds packages and puts them into a new database.
 *
 * @param directory an empty one
 * @returns path of `rpmdb.sqlite`
 */
export function makeRpmdb(directory: string, specs: readonly RpmSpec[]): string {
  for (const [index, spec] of specs.entries()) {
    mkdirSync(join(directory, "specs"), { recursive: true });
    const path = join(directory, "specs", `${index}.spec`);
    writeFileSync(path, specOf(spec));
    execFileSync("rpmbuild", ["-bb", "--quiet", "--define", `_topdir ${directory}`, path], { stdio: "pipe" });
  }
  const packages = join(directory, "RPMS", "noarch");
  const files = readdirSync(packages).map((name) => join(packages, name));
  rpm(directory, ["-i", "--justdb", "--nodeps", "--noscripts", ...files]);
  return join(directory, "root/var/lib/rpm/rpmdb.sqlite");
}

/** What rpm itself lists, one package a line. */
export function queryRpmdb(directory: string, format: string): string[] {
  return rpm(directory, ["-qa", "--qf", `${format}\\n`])
    .trim()
    .split("\n");
}

function rpm(directory: string, args: readonly string[]): string {
  const where = ["--root", join(directory, "root"), "--define", "_dbpath /var/lib/rpm", "--force-debian"];
  return execFileSync("rpm", [...where, ...args], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

/** -1, 0 or 1 for each pair, by rpm's own comparison. */
export function rpmVercmp(pairs: readonly (readonly [string, string])[]): number[] {
  const calls = pairs.map(([a, b]) => `print(rpm.vercmp("${a}","${b}"), "\\n")`).join(" ");
  const text = execFileSync("rpm", ["--eval", `%{lua: ${calls}}`], { encoding: "utf8" });
  return text.trim().split(/\s+/).map(Number);
}
