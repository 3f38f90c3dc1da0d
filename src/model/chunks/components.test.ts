import { expect, test } from "vitest";
import { entry, layer, xattrs } from "../../../test/layers.ts";
import { noise } from "../../../test/test-layer.ts";
import type { LayerEntry } from "../layer/entry.ts";
import { treeFromLayers } from "../tree/apply.ts";
import { type Leaf, lookup, type Tree } from "../tree/tree.ts";
import { findComponents } from "./components.ts";

const treeOf = (...entries: LayerEntry[]): Tree => treeFromLayers([layer(...entries)]);
const named = (name: string) => ({ xattrs: xattrs({ "user.component": name }) });
const big = noise(1 << 20).toString("latin1");

/** Component by path; of what is written last, none. */
function componentsByPath(tree: Tree, owned: Readonly<Record<string, string>> = {}): Record<string, string> {
  const owners = new Map(Object.entries(owned).map(([path, owner]) => [lookup(tree, path) as Leaf, owner]));
  const { components } = findComponents(tree, owners);
  return Object.fromEntries(
    components.flatMap(({ entries, name }) => entries.map(({ path }) => [path, name] as const)),
  );
}

const base = ["usr", "usr/lib", "usr/share", "usr/share/a", "usr/share/a/b", "etc", "boot", "opt", "opt/app"];
const directories = base.map((path) => entry.dir(path));

test("findComponents() takes the word of an xattr before that of a package, and that before a place", () => {
  const tree = treeOf(
    ...directories,
    entry.dir("usr/share/named", named("fonts")),
    entry.dir("usr/share/named/deep"),
    entry.file("usr/share/named/deep/x"),
    entry.file("usr/share/named/other", "", named("icons")),
    entry.file("usr/lib/owned", "owned"),
    entry.file("usr/lib/owned-and-named", "", named("mine")),
    entry.file("usr/lib/big", big),
    entry.file("usr/lib/owned-big", big),
    entry.file("usr/share/a/b/nobody's"),
    entry.file("opt/app/x"),
    entry.file("etc/conffile"),
    entry.symlink("lib", "usr/lib"),
    entry.file("boot/kernel"),
  );
  const owned = { "usr/lib/owned": "dpkg/x", "usr/lib/owned-and-named": "dpkg/x", "usr/lib/owned-big": "dpkg/x" };
  expect(componentsByPath(tree, { ...owned, "etc/conffile": "dpkg/x", lib: "dpkg/x" })).toEqual({
    "etc/conffile": "tree/etc",
    lib: "tree/",
    "opt/app/x": "tree/opt/app",
    "usr/lib/big": "file/usr/lib/big",
    "usr/lib/owned": "dpkg/x",
    "usr/lib/owned-and-named": "xattr/mine",
    "usr/lib/owned-big": "dpkg/x",
    "usr/share/a/b/nobody's": "tree/usr/share/a",
    "usr/share/named/deep/x": "xattr/fonts",
    "usr/share/named/other": "xattr/icons",
  });
});

test("findComponents() keeps all names of a leaf together, with the strongest claim on any of them", () => {
  const tree = treeOf(
    ...directories,
    entry.file("usr/lib/a", "one"),
    entry.dir("usr/share/named", named("z")),
    entry.link("usr/share/named/a", "usr/lib/a"),
    entry.link("etc/a", "usr/lib/a"),
  );
  const { components } = findComponents(tree, new Map());
  expect(components.map(({ name }) => name)).toEqual(["xattr/z"]);
  expect(components[0]?.entries.map(({ linkTo, path }) => [path, linkTo])).toEqual([
    ["etc/a", undefined],
    ["usr/lib/a", "etc/a"],
    ["usr/share/named/a", "etc/a"],
  ]);
});

test("findComponents() puts directories and /boot last, with every name of what has one there", () => {
  const tree = treeOf(...directories, entry.file("boot/kernel"), entry.link("usr/lib/kernel", "boot/kernel"));
  const { components, last } = findComponents(tree, new Map());
  expect(components).toEqual([]);
  expect(last.map(({ path }) => path)).toEqual(
    ["", ...base, "boot/kernel", "usr/lib/kernel"].sort((a, b) => (a < b ? -1 : 1)),
  );
});

test("findComponents() names the modules of all kernels alike", () => {
  const modules = ["usr/lib/modules", "usr/lib/modules/6.1", "usr/lib/modules/6.2"].map((path) => entry.dir(path));
  const files = ["6.1", "6.2"].map((version) => entry.file(`usr/lib/modules/${version}/initramfs.img`, big));
  expect(componentsByPath(treeOf(...directories, ...modules, ...files))).toEqual({
    "usr/lib/modules/6.1/initramfs.img": "file/usr/lib/modules/*/initramfs.img",
    "usr/lib/modules/6.2/initramfs.img": "file/usr/lib/modules/*/initramfs.img",
  });
});

test.each([
  ["daily", 1],
  ["Yearly", 365],
  ["30", 30],
  ["weekly\0", 7],
  ["0", undefined],
  ["-3", undefined],
  ["sometimes", undefined],
])("findComponents() takes the update interval %j as %s days", (interval, days) => {
  const attributes = xattrs({ "user.component": "x", "user.update-interval": interval });
  const tree = treeOf(...directories, entry.dir("usr/share/x", { xattrs: attributes }), entry.file("usr/share/x/y"));
  expect(findComponents(tree, new Map()).components).toMatchObject([{ name: "xattr/x" }]);
  expect(findComponents(tree, new Map()).components[0]?.intervalDays).toBe(days);
});
