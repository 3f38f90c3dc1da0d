import { lookup, type Tree } from "../tree/tree.ts";
import type { Architecture } from "./architecture.ts";
import { findBootFiles } from "./boot-files.ts";
import { checkBootLoader } from "./boot-loader.ts";
import { findFirstFile, isDirectory, listEntries, type OsFile } from "./files.ts";
import { findKernel } from "./kernel.ts";
import { findOsRelease } from "./os-release.ts";
import type { OsProblem } from "./problem.ts";

/** prepare-root.conf, the administrator's before the vendor's. */
export function findPrepareRoot(tree: Tree): OsFile | undefined {
  return findFirstFile(tree, ["/etc/ostree/prepare-root.conf", "/usr/lib/ostree/prepare-root.conf"]);
}

/** Files with kernel parameters, in the order in which they count. */
export function listKargsFiles(tree: Tree): OsFile[] {
  return listEntries(tree, "/usr/lib/bootc/kargs.d").flatMap(({ name, path, node }) =>
    node.kind === "file" && name.endsWith(".toml") ? [{ path, content: node.content }] : [],
  );
}

/** Directories that must be there before an image can be sealed, and why. */
const DIRECTORIES = {
  "/usr": "the root of the tree takes its metadata from it",
  "/etc": "the state of a deployment starts as a copy of it",
  "/boot": "the digest leaves its content out, and a host mounts its own there",
  "/sysroot": "the digest leaves its content out, and a host mounts its own there",
} as const;

/**
 * What stands in the way of sealing a tree, and what a host would stumble over.
 *
 * Adds to the problems of `findKernel`, `findBootFiles` and `checkBootLoader`: `image.directory-missing`,
 * `image.already-sealed`, `image.boot-entry-present`, `image.os-release-missing`, `image.prepare-root-missing`,
 * `image.usr-etc-present`, `image.init-missing`.
 *
 * @param tree merged, and not yet the boot tree: that has no kernels any more
 */
export function checkOs(tree: Tree, architecture: Architecture): OsProblem[] {
  const { kernel, problems: kernelProblems } = findKernel(tree);
  const { files, problems: bootProblems } = findBootFiles(tree);
  const problems: OsProblem[] = missingDirectories(tree);
  const add = (code: string, path: string, message: string, hint: string): void => {
    problems.push({ code: `image.${code}`, path, message: `${path}: ${message}`, hint });
  };

  problems.push(...kernelProblems);
  const known = new Set(kernelProblems.map(({ path }) => path));
  problems.push(...bootProblems.filter(({ path }) => !known.has(path)));
  if (kernel?.unified) {
    add("already-sealed", kernel.uki.path, "found a UKI, expected none", "seal the image that this one was made from");
  }
  const entry = files.find(({ kind }) => kind === "entry");
  if (entry !== undefined) {
    add(
      "boot-entry-present",
      entry.path,
      "found a boot loader entry, at which bootc stops",
      "remove /boot/loader/entries",
    );
  }
  problems.push(...checkBootLoader(tree, architecture));
  if (findOsRelease(tree) === undefined) {
    add(
      "os-release-missing",
      "/usr/lib/os-release",
      "found nothing, expected a file",
      "write ID= and PRETTY_NAME= there",
    );
  }
  if (findPrepareRoot(tree) === undefined) {
    const path = "/usr/lib/ostree/prepare-root.conf";
    add("prepare-root-missing", path, "found nothing, expected a file", "write [composefs] and enabled = true there");
  }
  if (lookup(tree, "/usr/etc") !== undefined) {
    add("usr-etc-present", "/usr/etc", "found it beside /etc, expected /etc only", "move its content to /etc");
  }
  if (lookup(tree, "/sbin/init") === undefined && lookup(tree, "/usr/sbin/init") === undefined) {
    add("init-missing", "/sbin/init", "found nothing, expected the init program", "install systemd-sysv or systemd");
  }
  return problems;
}

function missingDirectories(tree: Tree): OsProblem[] {
  return Object.entries(DIRECTORIES).flatMap(([path, why]) =>
    !isDirectory(tree, path)
      ? [
          {
            code: "image.directory-missing",
            message: `${path}: found no directory, expected one, since ${why}`,
            path,
            hint: `add an entry for the directory ${path} to the image: RUN mkdir -p ${path}`,
          },
        ]
      : [],
  );
}
