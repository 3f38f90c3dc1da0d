import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { entry, layer } from "../../../test/layers.ts";
import { makeRpmdb } from "../../../test/tools/rpm.ts";
import { compareVersions, findPackageDatabases, type Package, parsePackages } from "../../model/packages/index.ts";
import { treeFromLayers } from "../../model/tree/apply.ts";
import { comparePackages } from "./packages.ts";

const of = (text: string): Package[] =>
  text
    .split(" ")
    .filter((part) => part !== "")
    .map((part) => {
      const [name = "", version = "", architecture = "amd64"] = part.split("=");
      return { manager: "dpkg", name, version, architecture };
    });

test.each([
  ["equal lists", "a=1 b=2", "b=2 a=1", []],
  ["added and removed", "a=1 gone=1", "a=1 new=3", ["gone.amd64 removed 1 -> -", "new.amd64 added - -> 3"]],
  [
    "versions by their order",
    "a=1.9 b=1.10 c=1:0",
    "a=1.10 b=1.9 c=2",
    ["a.amd64 upgraded 1.9 -> 1.10", "b.amd64 downgraded 1.10 -> 1.9", "c.amd64 downgraded 1:0 -> 2"],
  ],
  ["equal versions that are written otherwise", "a=1.0", "a=0:1.0", ["a.amd64 changed 1.0 -> 0:1.0"]],
  ["another architecture", "a=1=amd64", "a=2=all", ["a.all upgraded 1 -> 2"]],
  ["one name in two architectures", "a=1=amd64 a=1=i386", "a=2=amd64 a=1=i386", ["a.amd64 upgraded 1 -> 2"]],
  ["an architecture more", "a=1=amd64", "a=1=amd64 a=1=i386", ["a.i386 added - -> 1"]],
  ["one of several kernels", "kernel=1 kernel=2", "kernel=2 kernel=3", ["kernel.amd64 upgraded 1 -> 3"]],
])("comparePackages() of %s", (_, before, after, expected) => {
  const changes = comparePackages(of(before), of(after));
  expect(
    changes.map((one) => `${one.name}.${one.architecture} ${one.change} ${one.before ?? "-"} -> ${one.after ?? "-"}`),
  ).toEqual(expected);
});

const withFiles = (...paths: string[]) => {
  const directories = paths.flatMap((path) => {
    const parts = path.split("/").slice(0, -1);
    return parts.map((_, index) => parts.slice(0, index + 1).join("/"));
  });
  const made = [...new Set(directories)].map((path) => entry.dir(path));
  return treeFromLayers([layer(entry.dir("/"), ...made, ...paths.map((path) => entry.file(path)))]);
};

test.each([
  [["var/lib/dpkg/status"], ["dpkg /var/lib/dpkg/status"]],
  [["var/lib/dpkg/status", "usr/lib/sysimage/dpkg/status"], ["dpkg /usr/lib/sysimage/dpkg/status"]],
  [["var/lib/dpkg/status.d/base", "var/lib/dpkg/status.d/base.md5sums"], ["dpkg /var/lib/dpkg/status.d/base"]],
  [["usr/lib/sysimage/rpm/rpmdb.sqlite", "usr/lib/sysimage/rpm/Packages"], ["rpm /usr/lib/sysimage/rpm/rpmdb.sqlite"]],
  [["usr/share/rpm/rpmdb.sqlite"], ["rpm /usr/share/rpm/rpmdb.sqlite"]],
  [
    ["usr/lib/sysimage/rpm/Packages.db", "var/lib/dpkg/status"],
    ["dpkg /var/lib/dpkg/status", "rpm /usr/lib/sysimage/rpm/Packages.db"],
  ],
  [["var/lib/rpm/Packages"], ["rpm /var/lib/rpm/Packages"]],
  [["usr/bin/sh"], []],
])("findPackageDatabases() of %j", (paths, expected) => {
  const found = findPackageDatabases(withFiles(...paths));
  expect(found.map(({ manager, path }) => `${manager} ${path}`)).toEqual(expected);
});

test("findPackageDatabases() tells of a write-ahead log with changes", () => {
  const directories = ["usr", "usr/lib", "usr/lib/sysimage", "usr/lib/sysimage/rpm"].map((path) => entry.dir(path));
  const path = "usr/lib/sysimage/rpm/rpmdb.sqlite";
  for (const [text, expected] of [
    ["", undefined],
    ["changes", `/${path}-wal`],
  ] as const) {
    const entries = [...directories, entry.file(path), entry.file(`${path}-wal`, text)];
    const [found] = findPackageDatabases(treeFromLayers([layer(entry.dir("/"), ...entries)]));
    expect(found?.log).toBe(expected);
  }
});

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "packages-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

test("parsePackages() reads the databases of rpm before and after an upgrade", () => {
  const content = { kind: "inline", bytes: new Uint8Array() } as const;
  const [before = [], after = []] = ["1.9", "1.10"].map((version) => {
    const path = makeRpmdb(join(directory, version), [{ name: "tool", version, epoch: 1, release: "1.fc43" }]);
    return parsePackages({ manager: "rpm", path, content }, readFileSync(path));
  });
  expect(comparePackages(before, after)).toMatchObject([
    { manager: "rpm", name: "tool", change: "upgraded", before: "1:1.9-1.fc43", after: "1:1.10-1.fc43" },
  ]);
});

test("compareVersions() follows the manager where the two disagree", () => {
  expect(compareVersions("dpkg", "1.0a", "1.0.1")).toBeLessThan(0);
  expect(compareVersions("rpm", "1.0^a", "1.0.1")).toBeLessThan(0);
  expect(compareVersions("dpkg", "1.0^a", "1.0.1")).toBeGreaterThan(0);
});
