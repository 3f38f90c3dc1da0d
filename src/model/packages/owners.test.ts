import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { entry, layer } from "../../../test/layers.ts";
import { makeRpmdb } from "../../../test/tools/rpm.ts";
import type { LayerEntry } from "../layer/entry.ts";
import { treeFromLayers } from "../tree/apply.ts";
import { type Content, sortedEntries, type Tree, type TreeNode } from "../tree/tree.ts";
import { findPackageOwners } from "./index.ts";

const read = (contents: readonly Content[]): Promise<Uint8Array[]> =>
  Promise.resolve(contents.map((content) => (content.kind === "inline" ? content.bytes : new Uint8Array())));

/** A tree of these entries; directories above them are made. */
function treeOf(...entries: LayerEntry[]): Tree {
  const parents = new Set(
    entries.flatMap(({ path }) => path.split("/").map((_, depth, names) => names.slice(0, depth).join("/"))),
  );
  parents.delete("");
  const links = new Set(entries.map(({ path }) => path as string));
  const directories = [...parents].filter((path) => !links.has(path)).sort();
  return treeFromLayers([layer(...directories.map((path) => entry.dir(path)), ...entries)]);
}

async function ownersByPath(tree: Tree) {
  const { owners, problems } = await findPackageOwners(tree, read);
  const found: Record<string, string> = {};
  const show = (path: string, node: TreeNode): void => {
    if (node.kind === "directory") for (const [name, child] of sortedEntries(node)) show(`${path}/${name}`, child);
    else if (owners.has(node)) found[path] = owners.get(node) as string;
  };
  show("", tree.root);
  return { found, codes: problems.map(({ code }) => code) };
}

const STATUS = [
  "Package: bash\nStatus: install ok installed\nVersion: 5.2\nArchitecture: amd64",
  "Package: libc6\nStatus: install ok installed\nSource: glibc (2.41-12)\nVersion: 2.41-12+b1\nArchitecture: amd64",
  "Package: libc-bin\nStatus: install ok installed\nSource: glibc\nVersion: 2.41-12\nArchitecture: amd64",
].join("\n\n");

test("findPackageOwners() groups by source what dpkg lists, through the links of a merged /usr", async () => {
  const tree = treeOf(
    entry.symlink("bin", "usr/bin"),
    entry.symlink("lib", "/usr/lib"),
    entry.symlink("var/lib/dpkg", "../../usr/lib/sysimage/dpkg"),
    entry.file("usr/bin/bash"),
    entry.file("usr/bin/ldd"),
    entry.file("usr/bin/stray"),
    entry.file("usr/lib/libc.so.6"),
    entry.symlink("usr/bin/rbash", "bash"),
    entry.file("usr/lib/sysimage/dpkg/status", STATUS),
    entry.file("usr/lib/sysimage/dpkg/info/bash.list", "/.\n/bin\n/bin/bash\n/usr/bin/rbash\n/usr/gone\n"),
    entry.file("usr/lib/sysimage/dpkg/info/bash.md5sums", "nothing\n"),
    entry.file("usr/lib/sysimage/dpkg/info/libc6:amd64.list", "/lib/libc.so.6\n/lib/../bin/../lib/libc.so.6\n"),
    entry.file("usr/lib/sysimage/dpkg/info/libc-bin.list", "/usr/bin/ldd\n/usr/bin/bash\n"),
  );
  expect(await ownersByPath(tree)).toEqual({
    found: {
      "/bin": "dpkg/bash",
      "/usr/bin/bash": "dpkg/bash",
      "/usr/bin/ldd": "dpkg/glibc",
      "/usr/bin/rbash": "dpkg/bash",
      "/usr/lib/libc.so.6": "dpkg/glibc",
    },
    codes: [],
  });
});

test("findPackageOwners() reads the sums of distroless", async () => {
  const tree = treeOf(
    entry.file("usr/lib/libssl.so.3"),
    entry.file("var/lib/dpkg/status.d/libssl3", "Package: libssl3\nSource: openssl\nVersion: 3\n"),
    entry.file("var/lib/dpkg/status.d/libssl3.md5sums", `${"0".repeat(32)}  usr/lib/libssl.so.3\n`),
    entry.file("var/lib/dpkg/status.d/base", "Package: base\nVersion: 1\n"),
  );
  expect(await ownersByPath(tree)).toEqual({ found: { "/usr/lib/libssl.so.3": "dpkg/openssl" }, codes: [] });
});

test("findPackageOwners() reads the database of rpm itself", async () => {
  const directory = mkdtempSync(join(tmpdir(), "owners-"));
  try {
    const path = makeRpmdb(directory, [
      { name: "one", version: "1.0", files: ["/usr/bin/one", "/usr/share/one/data", "/etc/one.conf"] },
      { name: "two-tools", version: "2.0", release: "3.fc43", files: ["/usr/bin/two"] },
      { name: "none", version: "1" },
    ]);
    const tree = treeOf(
      ...["usr/bin/one", "usr/share/one/data", "etc/one.conf", "usr/bin/two", "usr/bin/x"].map((name) =>
        entry.file(name),
      ),
      entry.file("usr/lib/sysimage/rpm/rpmdb.sqlite", readFileSync(path).toString("latin1")),
    );
    expect(await ownersByPath(tree)).toEqual({
      found: {
        "/etc/one.conf": "rpm/one",
        "/usr/bin/one": "rpm/one",
        "/usr/bin/two": "rpm/two-tools",
        "/usr/share/one/data": "rpm/one",
      },
      codes: [],
    });
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("findPackageOwners() reads the database of pacman, by package base", async () => {
  const tree = treeOf(
    entry.file("usr/lib/libc.so.6"),
    entry.file("var/lib/pacman/local/ALPM_DB_VERSION", "9\n"),
    entry.file("var/lib/pacman/local/lib32-glibc-2/desc", "%NAME%\nlib32-glibc\n\n%BASE%\nglibc\n\n"),
    entry.file("var/lib/pacman/local/lib32-glibc-2/files", "%FILES%\nusr/\nusr/lib/\nusr/lib/libc.so.6\n\n"),
  );
  expect(await ownersByPath(tree)).toEqual({ found: { "/usr/lib/libc.so.6": "alpm/glibc" }, codes: [] });
});

test("findPackageOwners() tells of a database that it cannot read, and goes on with the others", async () => {
  const tree = treeOf(
    entry.file("usr/lib/libc.so.6"),
    entry.file("var/lib/dpkg/status", "no field\n"),
    entry.file("var/lib/rpm/Packages", `${"\0".repeat(12)}\x61\x15\x06\0`),
    entry.file("var/lib/pacman/local/glibc-2/desc", "%NAME%\nglibc\n\n"),
    entry.file("var/lib/pacman/local/glibc-2/files", "%FILES%\nusr/lib/libc.so.6\n"),
  );
  expect(await ownersByPath(tree)).toEqual({
    found: { "/usr/lib/libc.so.6": "alpm/glibc" },
    codes: ["dpkg.status.line", "rpmdb.berkeley-db"],
  });
});

test("findPackageOwners() ends on links that lead in circles", async () => {
  const tree = treeOf(
    entry.symlink("a", "b"),
    entry.symlink("b", "a"),
    entry.file("var/lib/dpkg/status", STATUS),
    entry.file("var/lib/dpkg/info/bash.list", "/a/bin/bash\n"),
  );
  expect(await ownersByPath(tree)).toEqual({ found: {}, codes: [] });
});
