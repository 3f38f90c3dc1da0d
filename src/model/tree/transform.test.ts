import { expect, test } from "vitest";
import { entry, layer, meta, showTree, xattrs } from "../../../test/layers.ts";
import { showByteString } from "../../lib/bytes/byte-string.ts";
import type { FormatError } from "../../lib/errors.ts";
import type { LayerEntry } from "../layer/entry.ts";
import { treeFromLayers } from "./apply.ts";
import type { ReadContent } from "./label.ts";
import { toBootTree, toOciTree } from "./transform.ts";
import { lookup, type Metadata, type Tree } from "./tree.ts";

const { dir, file, link, symlink, char, fifo } = entry;

const treeOf = (...entries: LayerEntry[]) => treeFromLayers([layer(...entries)]);
const noRead: ReadContent = (_, path) => Promise.reject(new Error(`${path} was read`));
const time = ({ mtimeSec, mtimeNsec }: Metadata) => `${mtimeSec}.${mtimeNsec}`;
const label = ({ xattrs }: Metadata) =>
  [...xattrs].map(([name, value]) => `${name}=${showByteString(value)}`).join(" ");

test("toOciTree() gives the root the metadata of /usr, its extended attributes filtered too", () => {
  const usr = { mode: 0o711, uid: 1, gid: 2, mtimeSec: 3n, mtimeNsec: 4 };
  const attributes = xattrs({ "user.a": "1", "security.capability": "c", "security.selinux": "l" });
  const tree = toOciTree(treeOf(dir("/", { mode: 0o700 }), dir("usr", { ...usr, xattrs: attributes })));
  expect(tree.root.meta).toEqual({ ...usr, xattrs: xattrs({ "security.capability": "c" }) });
  expect(tree.root.meta).not.toBe(lookup(tree, "usr")?.meta);
});

test("toOciTree() empties /run, sets its time and nothing else", () => {
  const run = { mode: 0o700, uid: 9, mtimeSec: 1n, mtimeNsec: 1 };
  const tree = toOciTree(treeOf(dir("usr", { mtimeSec: 5n, mtimeNsec: 6 }), dir("run", run), file("run/f")));
  expect(lookup(tree, "run")).toMatchObject({ meta: { mode: 0o700, uid: 9, mtimeSec: 5n, mtimeNsec: 6 } });
  expect(showTree(tree)).toEqual(["/ directory", "/run directory", "/usr directory"]);
});

test("toOciTree() keeps user attributes only when it is told to", () => {
  const attributes = { "user.a": "1", "security.capability": "c", "security.capabilities": "x", "trusted.b": "2" };
  const make = () => treeOf(dir("usr"), file("usr/f", "", { xattrs: xattrs(attributes) }), link("usr/g", "usr/f"));
  const names = (tree: Tree) => [...(lookup(tree, "usr/g") ?? tree.root).meta.xattrs.keys()];
  expect(names(toOciTree(make()))).toEqual(["security.capability"]);
  expect(names(toOciTree(make(), { keepUserXattrs: true }))).toEqual(["user.a", "security.capability"]);
});

test.each<[string, LayerEntry[]]>([
  ["tree.usr-missing", []],
  ["tree.usr-not-directory", [symlink("usr", "/x")]],
  ["tree.run-not-directory", [dir("usr"), symlink("run", "var/run")]],
])("toOciTree() refuses with %s", (code, entries) => {
  expect(() => toOciTree(treeOf(...entries))).toThrow(expect.objectContaining({ code }) as FormatError);
});

test("toBootTree() empties /boot and /sysroot and takes only the seconds of /usr", async () => {
  const at = (mtimeSec: bigint, mtimeNsec: number) => ({ mtimeSec, mtimeNsec });
  const tree = treeOf(
    dir("usr", at(100n, 5)),
    dir("boot", at(5n, 25)),
    file("boot/vmlinuz"),
    dir("sysroot", at(6n, 75)),
    dir("sysroot/ostree"),
    dir("var", at(1n, 1)),
    file("var/f"),
  );
  expect(await toBootTree(tree, noRead)).toEqual({ splitLinks: 0 });
  expect(showTree(tree, time)).toEqual([
    "/ directory 0.0",
    "/boot directory 100.25",
    "/sysroot directory 100.75",
    "/usr directory 100.5",
    "/var directory 1.1",
    "/var/f file  0.0",
  ]);
});

test.each<[string, LayerEntry[]]>([
  ["tree.boot-missing", [dir("usr"), dir("sysroot")]],
  ["tree.sysroot-missing", [dir("usr"), dir("boot")]],
  ["tree.boot-not-directory", [dir("usr"), symlink("boot", "x"), dir("sysroot")]],
  ["tree.sysroot-not-directory", [dir("usr"), dir("boot"), file("sysroot")]],
  ["tree.usr-missing", [dir("boot"), dir("sysroot")]],
])("toBootTree() refuses with %s", async (code, entries) => {
  await expect(toBootTree(treeOf(...entries), noRead)).rejects.toMatchObject({ code });
});

test("the transforms leave the layer's records as they are", async () => {
  const shared = meta({ xattrs: xattrs({ "user.a": "1" }) });
  const records = [
    layer(...policy("/.* x"), dir("boot", shared), dir("run", shared), dir("usr", shared), file("usr/f", "", shared)),
  ];
  const before = JSON.stringify(records, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value));
  await toBootTree(toOciTree(treeFromLayers(records)), noRead);
  const after = JSON.stringify(records, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value));
  expect(after).toBe(before);
  expect([...(records[0]?.entries.at(-1)?.meta.xattrs ?? [])]).toEqual([["user.a", "1"]]);
});

/** Directories that the boot tree needs, and a policy with this file_contexts. */
function policy(fileContexts: string, name = "targeted", config = `SELINUXTYPE=${name}\n`): LayerEntry[] {
  const etc = `etc/selinux/${name}`;
  return [
    ...["usr", "boot", "sysroot", "etc", "etc/selinux", etc, `${etc}/contexts`, `${etc}/contexts/files`].map((path) =>
      dir(path),
    ),
    file("etc/selinux/config", config),
    file(`${etc}/contexts/files/file_contexts`, fileContexts),
  ];
}

const old = { xattrs: xattrs({ "security.selinux": "old" }) };

test("toBootTree() labels by type, without a final NUL, and removes labels that the policy does not give", async () => {
  const specs = "/ root\n/usr.* -d d\n/usr/f -- f\n/usr/l -l l\n/usr/p -p p\n/usr/c -c c\n/usr/n <<none>>\n";
  const tree = treeOf(
    ...policy(specs),
    file("usr/f", "", old),
    symlink("usr/l", "f"),
    fifo("usr/p"),
    char("usr/c", 0),
    file("usr/n", "", old),
    file("usr/other", "", old),
  );
  expect(await toBootTree(tree, noRead)).toEqual({ policy: "targeted", splitLinks: 0 });
  expect(showTree(tree, label).filter((line) => !line.startsWith("/etc"))).toEqual([
    "/ directory security.selinux=root",
    "/boot directory",
    "/sysroot directory",
    "/usr directory security.selinux=d",
    "/usr/c char 0 security.selinux=c",
    "/usr/f file  security.selinux=f",
    "/usr/l symlink f security.selinux=l",
    "/usr/n file ",
    "/usr/other file ",
    "/usr/p fifo security.selinux=p",
  ]);
});

test("toBootTree() gives every deviating name of a hard link a leaf of its own", async () => {
  const tree = treeOf(
    ...policy("/usr/a.* A\n/usr/b.* B\n"),
    file("usr/z", "x", old),
    ...["a1", "a2", "b1", "b2", "y"].map((name) => link(`usr/${name}`, "usr/z")),
  );
  expect(await toBootTree(tree, noRead)).toMatchObject({ splitLinks: 4 });
  expect(showTree(tree, label).filter((line) => line.startsWith("/usr/"))).toEqual([
    "/usr/a1 file x security.selinux=A #1",
    "/usr/a2 file x security.selinux=A #1",
    "/usr/b1 file x security.selinux=B",
    "/usr/b2 file x security.selinux=B",
    "/usr/y file x",
    "/usr/z file x",
  ]);
});

test("toBootTree() walks depth first in byte order to find the first name of a hard link", async () => {
  const tree = treeOf(
    ...policy("/usr/a/f in\n/usr/a\\.f out\n"),
    dir("usr/a"),
    file("usr/a/f", "x"),
    link("usr/a.f", "usr/a/f"),
    link("usr/a.g", "usr/a/f"),
  );
  const first = lookup(tree, "usr/a/f");
  await toBootTree(tree, noRead);
  expect(lookup(tree, "usr/a/f")).toBe(first);
});

test.each<[string, LayerEntry[]]>([
  ["no /etc", [dir("usr"), dir("boot"), dir("sysroot")]],
  ["no /etc/selinux", [dir("usr"), dir("boot"), dir("sysroot"), dir("etc")]],
  ["no config", policy("/.* x").filter(({ path }) => !path.endsWith("config"))],
  ["no SELINUXTYPE", policy("/.* x", "targeted", "SELINUX=enforcing\n")],
])("toBootTree() removes all labels when there is %s", async (_, entries) => {
  const tree = treeOf(...entries, file("usr/f", "", old));
  expect(await toBootTree(tree, noRead)).toEqual({ splitLinks: 0 });
  expect(lookup(tree, "usr/f")?.meta.xattrs.size).toBe(0);
});

const replaced = (path: string, by: LayerEntry) =>
  policy("/.* x").flatMap((one) => (one.path === path ? [by] : one.path.startsWith(`${path}/`) ? [] : [one]));

test.each<[string, LayerEntry[]]>([
  ["selinux.directory.not-directory", replaced("etc/selinux", symlink("etc/selinux", "/x"))],
  ["selinux.file.not-file", replaced("etc/selinux/config", symlink("etc/selinux/config", "/x"))],
  ["selinux.file.not-file", replaced("etc/selinux/config", dir("etc/selinux/config"))],
  ["selinux.policy.missing", policy("/.* x", "targeted", "SELINUXTYPE=other")],
  ["selinux.policy.missing", policy("/.* x").slice(0, -1)],
  ["selinux.directory.not-directory", replaced("etc/selinux/targeted", symlink("etc/selinux/targeted", "/x"))],
  ["selinux.policy.name", policy("/.* x", "targeted", "SELINUXTYPE=../targeted")],
  ["selinux.spec.fields", policy("/.*")],
  ["selinux.pattern.unsupported", policy("/(a)\\1 x")],
])("toBootTree() refuses with %s", async (code, entries) => {
  await expect(toBootTree(treeOf(...entries), noRead)).rejects.toMatchObject({ code });
});

test("toBootTree() asks for policy files that are stored elsewhere, and no others", async () => {
  const stored = (path: string, size: bigint): LayerEntry => ({
    kind: "file",
    path: file(path).path,
    meta: meta(),
    content: { kind: "external", size, digests: {} },
  });
  const path = "etc/selinux/targeted/contexts/files/file_contexts";
  const tree = treeOf(...policy("").slice(0, -1), stored(path, 900n), stored("usr/big", 900n));
  const read: string[] = [];
  await toBootTree(tree, async (content, path) => {
    read.push(`${path} ${content.size}`);
    return Buffer.from("/usr/big b");
  });
  expect(read).toEqual([`/${path} 900`]);
  expect(label((lookup(tree, "usr/big") ?? tree.root).meta)).toBe("security.selinux=b");

  const huge = treeOf(...policy("").slice(0, -1), stored(path, 1n << 40n));
  await expect(toBootTree(huge, noRead)).rejects.toMatchObject({ code: "selinux.file.too-large" });
});
