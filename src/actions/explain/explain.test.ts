import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterAll, beforeAll, expect, test } from "vitest";
import { codeOfAsync } from "../../../test/code-of.ts";
import { entry, layer, meta, xattrs } from "../../../test/layers.ts";
import { encodeLayer, writeImageOf } from "../../../test/write-layers.ts";
import { byteString } from "../../lib/bytes/byte-string.ts";
import { dumpTree, encodeComposefsImage, parseComposefsFormat } from "../../model/composefs/index.ts";
import { storeFile } from "../../model/host-io/files.ts";
import type { LayerEntry, LayerRecord } from "../../model/layer/entry.ts";
import { toCanonicalTree } from "../../model/source/canonical-tree.ts";
import { openTreeSource } from "../../model/source/tree-source.ts";
import { cloneTree } from "../../model/tree/clone.ts";
import { type Directory, lookup, type Metadata, type Tree, type TreeNode } from "../../model/tree/tree.ts";
import { CAUSES } from "./causes.ts";
import { type Cause, type ExplainOptions, explainDifference } from "./index.ts";

const { dir, file, link, symlink } = entry;

let directory: string;
let cacheDirectory: string;
let plainImage: string;
let count = 0;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "sealwright-explain-"));
  cacheDirectory = join(directory, "cache");
  plainImage = await imageOf(layer(...base));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const newPath = () => join(directory, String(count++));

const large = "large ".repeat(20);

/** What a host needs; times differ so that one taken for another is seen. */
const base: readonly LayerEntry[] = [
  dir("usr", { mtimeSec: 100n, mtimeNsec: 500_000_000 }),
  dir("usr/bin", { mtimeSec: 101n }),
  dir("usr/lib", { mtimeSec: 102n }),
  dir("etc", { mtimeSec: 103n }),
  dir("boot", { mtimeSec: 5n, mtimeNsec: 250_000_000 }),
  dir("sysroot", { mtimeSec: 6n, mtimeNsec: 500_000_000 }),
  dir("run", { mtimeSec: 7n }),
  file("usr/bin/large", large, { mtimeSec: 110n, mtimeNsec: 42, mode: 0o755 }),
  file("usr/bin/small", "small", { mtimeSec: 111n }),
  symlink("usr/bin/link", "small"),
  link("usr/lib/hard", "usr/bin/large"),
];

async function imageOf(...layers: LayerRecord[]): Promise<string> {
  const reference = `oci:${newPath()}`;
  await writeImageOf(
    reference,
    layers.map(encodeLayer),
    layers.map((_, index) => `RUN step ${index}`),
  );
  return reference;
}

const trees = new Map<string, Tree>();

/** The tree of an image as it is digested, with one change, as a dump. */
async function dumpOf(reference: string, change: (tree: Tree) => void = () => {}): Promise<string> {
  let tree = trees.get(reference);
  if (tree === undefined) {
    const apply = { missingParents: "invent" } as const;
    await using source = await openTreeSource(reference, { algorithms: ["sha512"], cacheDirectory, apply });
    await toCanonicalTree(source, false);
    tree = source.tree;
    trees.set(reference, tree);
  }
  const changed = cloneTree(tree);
  change(changed);
  const path = newPath();
  await storeFile(path, Readable.from(dumpTree(changed, "sha512")));
  return `dump:${path}`;
}

const explain = (first: string, second?: string, options: ExplainOptions = {}) =>
  explainDifference(first, second, { cacheDirectory, ...options });

function nodeAt(tree: Tree, path: string): TreeNode {
  const node = lookup(tree, path);
  if (node === undefined) throw new TypeError(`${path} is absent`);
  return node;
}

const setMeta = (path: string, given: Partial<Metadata>) => (tree: Tree) => {
  const node = nodeAt(tree, path);
  node.meta = { ...node.meta, ...given };
};

/** Puts a node, or with `undefined` nothing, at a path. */
const put = (path: string, node: TreeNode | undefined) => (tree: Tree) => {
  const at = path.lastIndexOf("/");
  const parent = nodeAt(tree, path.slice(0, at)) as Directory;
  const name = byteString(path.slice(at + 1));
  if (node === undefined) parent.entries.delete(name);
  else parent.entries.set(name, node);
};

const inline = (text: string) => ({ kind: "inline" as const, bytes: Buffer.from(text) });
const newFile = (text: string, given: Partial<Metadata> = {}): TreeNode => ({
  kind: "file",
  content: inline(text),
  meta: meta(given),
});

const codesOf = (causes: readonly Cause[]) => causes.map(({ code }) => code);

test("explainDifference() finds an image and its dump equal", async () => {
  const image = plainImage;
  const report = await explain(image, await dumpOf(image));
  expect(report).toMatchObject({
    equal: true,
    causes: [],
    a: { kind: "image", transform: "boot", format: "v1-sha512", undeclaredDirectories: 0 },
    b: { kind: "dump", transform: "none" },
  });
  expect(report.a.digest).toBe(report.b.digest);
});

test.each<[keyof typeof CAUSES, string, (tree: Tree) => void, { path: string; field: string; a?: string; b?: string }]>(
  [
    [
      "explain.root-metadata",
      "the root",
      setMeta("/", { mode: 0o700 }),
      { path: "/", field: "mode", a: "0755", b: "0700" },
    ],
    [
      "explain.mode",
      "a mode",
      setMeta("usr/bin/small", { mode: 0o600 }),
      { path: "/usr/bin/small", field: "mode", a: "0644", b: "0600" },
    ],
    [
      "explain.mode.symlink",
      "the mode of a link",
      setMeta("usr/bin/link", { mode: 0o755 }),
      { path: "/usr/bin/link", field: "mode", a: "0777", b: "0755" },
    ],
    [
      "explain.owner",
      "an owner",
      setMeta("usr/bin/small", { uid: 1000 }),
      { path: "/usr/bin/small", field: "owner", a: "0:0", b: "1000:0" },
    ],
    [
      "explain.time",
      "a time",
      setMeta("usr/bin/small", { mtimeSec: 0n }),
      { path: "/usr/bin/small", field: "mtime", a: "1970-01-01T00:01:51Z", b: "1970-01-01T00:00:00Z" },
    ],
    [
      "explain.time.subsecond",
      "nanoseconds",
      setMeta("usr/bin/large", { mtimeNsec: 0 }),
      { path: "/usr/bin/large", field: "mtime", a: "1970-01-01T00:01:50.000000042Z", b: "1970-01-01T00:01:50Z" },
    ],
    [
      "explain.directory-time",
      "the time of a directory",
      setMeta("usr/lib", { mtimeSec: 9n }),
      { path: "/usr/lib", field: "mtime" },
    ],
    [
      "explain.boot-nanoseconds",
      "nanoseconds of /boot",
      setMeta("boot", { mtimeNsec: 500_000_000 }),
      { path: "/boot", field: "mtime", a: "1970-01-01T00:01:40.250000000Z" },
    ],
    [
      "explain.transform",
      "a filled /boot",
      put("boot/EFI", newFile("x")),
      { path: "/boot/EFI", field: "entry", b: "file" },
    ],
    [
      "explain.injected-file",
      "a host name",
      put("etc/hostname", newFile("x")),
      { path: "/etc/hostname", field: "entry", b: "file" },
    ],
    [
      "explain.socket",
      "a socket",
      put("etc/socket", { kind: "socket", meta: meta() }),
      { path: "/etc/socket", field: "entry", b: "socket" },
    ],
    [
      "explain.xattr.namespace",
      "an attribute",
      setMeta("usr/bin/small", { xattrs: xattrs({ "user.a": "1" }) }),
      { path: "/usr/bin/small", field: "user.a", b: '"1"' },
    ],
    [
      "explain.capability",
      "a capability",
      setMeta("usr/bin/small", { xattrs: xattrs({ "security.capability": "1" }) }),
      { path: "/usr/bin/small", field: "security.capability", b: '"1"' },
    ],
    [
      "explain.selinux-label",
      "a label",
      setMeta("usr", { xattrs: xattrs({ "security.selinux": "a:b:c" }) }),
      { path: "/usr", field: "security.selinux", b: '"a:b:c"' },
    ],
    [
      "explain.hardlink",
      "a split link",
      (tree) => put("usr/lib/hard", { ...nodeAt(tree, "usr/lib/hard") })(tree),
      { path: "/usr/lib/hard", field: "link", a: "the same file as /usr/bin/large", b: "a file of its own" },
    ],
    [
      "explain.content",
      "contents",
      put("usr/bin/small", newFile("other", { mtimeSec: 111n })),
      { path: "/usr/bin/small", field: "content", a: '5 bytes "small"', b: '5 bytes "other"' },
    ],
    [
      "explain.storage",
      "a large file inside",
      (tree) => Object.assign(nodeAt(tree, "usr/bin/large"), { content: inline(large) }),
      { path: "/usr/bin/large", field: "content" },
    ],
    [
      "explain.link-target",
      "a target",
      (tree) => Object.assign(nodeAt(tree, "usr/bin/link"), { target: "large" }),
      { path: "/usr/bin/link", field: "target", a: '"small"', b: '"large"' },
    ],
    [
      "explain.type",
      "a kind",
      put("usr/bin/small", { kind: "fifo", meta: meta({ mtimeSec: 111n }) }),
      { path: "/usr/bin/small", field: "type", a: "file", b: "fifo" },
    ],
    [
      "explain.only-in-a",
      "a missing file",
      put("usr/bin/small", undefined),
      { path: "/usr/bin/small", field: "entry", a: "file" },
    ],
    [
      "explain.only-in-b",
      "a new file",
      put("usr/bin/new", newFile("")),
      { path: "/usr/bin/new", field: "entry", b: "file" },
    ],
  ],
)("explainDifference() says %s for %s", async (code, _, change, example) => {
  const image = plainImage;
  const { causes, equal, sameTree } = await explain(image, await dumpOf(image, change));
  expect({ equal, sameTree, codes: codesOf(causes) }).toEqual({ equal: false, sameTree: false, codes: [code] });
  expect(causes[0]).toMatchObject({ ...CAUSES[code], count: 1 });
  expect(causes[0]?.examples[0]).toMatchObject(example);
});

test("explainDifference() names the layer and the instruction that brought an entry", async () => {
  const modules = layer(dir("usr/lib/modules"), dir("usr/lib/modules/6.1"));
  const image = await imageOf(layer(...base), modules, layer(file("usr/lib/modules/6.1/vmlinuz", "kernel")));
  const { causes } = await explain(image, await dumpOf(image, put("usr/lib/modules/6.1/vmlinuz", undefined)));
  expect(causes).toMatchObject([
    { code: "explain.kernel", examples: [{ layers: { a: { index: 2, createdBy: "RUN step 2" } } }] },
  ]);
  expect(causes[0]?.examples[0]?.layers?.a?.digest).toMatch(/^sha256:[0-9a-f]{64}$/);
  expect(causes[0]?.examples[0]?.layers).not.toHaveProperty("b");
});

test("explainDifference() counts a changed entry and the time of its directory as one cause", async () => {
  const image = plainImage;
  const other = await dumpOf(image, (tree) => {
    put("etc/new", newFile(""))(tree);
    put("etc/newer", newFile(""))(tree);
    setMeta("etc", { mtimeSec: 900n })(tree);
  });
  const { causes } = await explain(image, other);
  expect(causes).toMatchObject([{ code: "explain.only-in-b", count: 3 }]);
});

test("explainDifference() counts what is copied from /usr with /usr", async () => {
  const image = plainImage;
  const other = await dumpOf(image, (tree) => {
    for (const path of ["usr", "/", "run"]) setMeta(path, { mtimeSec: 900n, mtimeNsec: 0 })(tree);
    for (const path of ["boot", "sysroot"]) setMeta(path, { mtimeSec: 900n })(tree);
  });
  const { causes } = await explain(image, other);
  expect(causes).toMatchObject([{ code: "explain.directory-time", count: 5 }]);
  expect(causes[0]?.examples.map(({ path, note }) => `${path} ${note}`).sort()).toEqual([
    "/ as /usr",
    "/boot as /usr",
    "/run as /usr",
    "/sysroot as /usr",
    "/usr undefined",
  ]);
});

test("explainDifference() finds a directory that a layer uses without declaring it", async () => {
  const image = await imageOf(layer(...base), layer(file("usr/lib/added", "")));
  const { causes } = await explain(image, await dumpOf(image, setMeta("usr/lib", { mtimeSec: 900n })));
  expect(causes).toMatchObject([
    {
      code: "explain.directory-time.implicit-parent",
      examples: [{ path: "/usr/lib", note: "layer 1 (RUN step 1) has entries in it and does not declare it" }],
    },
  ]);
});

test("explainDifference() reads an image with directories that no layer declares, and says so", async () => {
  const image = await imageOf(layer(...base), layer(file("opt/vendor/added", "")));
  const other = await dumpOf(image, (tree) => {
    setMeta("opt", { mtimeSec: 900n, mode: 0o700 })(tree);
    setMeta("opt/vendor", { mtimeSec: 900n })(tree);
  });
  const { a, causes } = await explain(image, other);
  expect(a.undeclaredDirectories).toBe(2);
  expect(causes).toMatchObject([{ code: "explain.directory-time.implicit-parent", count: 3 }]);
  expect(causes[0]?.examples[0]).toMatchObject({
    note: "layer 1 (RUN step 1) has entries in it, and no layer declares it",
    layers: { a: { index: 1 } },
  });
});

test("explainDifference() finds the layer whose time of a directory the other side took", async () => {
  const image = await imageOf(layer(...base), layer(dir("usr/lib", { mtimeSec: 300n })));
  const { causes } = await explain(image, await dumpOf(image, setMeta("usr/lib", { mtimeSec: 102n })));
  expect(causes).toMatchObject([
    {
      code: "explain.directory-time.repeated",
      examples: [{ note: "layer 0 (RUN step 0) declares it with the other time", layers: { a: { index: 1 } } }],
    },
  ]);
});

test("explainDifference() counts every difference and shows as many as asked for", async () => {
  const files = Array.from({ length: 40 }, (_, index) => file(`usr/lib/${index}`, "x"));
  const image = await imageOf(layer(...base, ...files));
  const other = await dumpOf(image, (tree) => {
    for (let index = 0; index < 40; index++) setMeta(`usr/lib/${index}`, { mode: 0o600 })(tree);
  });
  const { causes } = await explain(image, other, { maxExamples: 3 });
  expect(causes).toHaveLength(1);
  expect(causes[0]).toMatchObject({ code: "explain.mode", count: 40 });
  expect(causes[0]?.examples).toHaveLength(3);
});

test("explainDifference() tells a namespace that one side lacks from attributes that differ", async () => {
  const image = plainImage;
  const give = (value: string) => setMeta("usr/bin/small", { xattrs: xattrs({ "user.a": value, "odd.b": value }) });
  const { causes } = await explain(await dumpOf(image, give("1")), await dumpOf(image, give("2")));
  expect(causes.map(({ code, subject }) => [code, subject])).toEqual([
    ["explain.xattr", "other"],
    ["explain.xattr", "user.*"],
  ]);
});

test("explainDifference() compares two images", async () => {
  const a = await imageOf(layer(...base), layer(file("etc/only-a", "")));
  const b = await imageOf(layer(...base), layer(file("etc/only-b", "")));
  const { causes } = await explain(a, b);
  expect(codesOf(causes)).toEqual(["explain.only-in-a", "explain.only-in-b"]);
});

/** The image that `explainDifference` is to take as it is. */
async function erofsOf(reference: string, format: string, padding = 0): Promise<string> {
  await using source = await openTreeSource(reference, { algorithms: ["sha512"], cacheDirectory });
  await toCanonicalTree(source, false);
  const path = newPath();
  const bytes = encodeComposefsImage(source.tree, parseComposefsFormat(format));
  await writeFile(path, Buffer.concat([bytes, Buffer.alloc(padding)]));
  return `erofs:${path}`;
}

test("explainDifference() takes an EROFS image as it is, in its own format", async () => {
  const image = plainImage;
  expect(await explain(image, await erofsOf(image, "v1-sha512"))).toMatchObject({ equal: true });
  const v2 = await erofsOf(image, "v2-sha512");
  expect(await explain(image, v2, { format: "v2-sha512" })).toMatchObject({ equal: true });
  expect(await explain(v2, image)).toMatchObject({
    equal: false,
    sameTree: true,
    a: { kind: "erofs", format: "v2-sha512" },
    b: { format: "v1-sha512" },
    causes: [{ code: "explain.format", examples: [{ note: "in v2-sha512 the second side has the same" }] }],
  });
});

test("explainDifference() says when an image has other bytes than its tree gives", async () => {
  const image = plainImage;
  const report = await explain(image, await erofsOf(image, "v1-sha512", 4096));
  expect(report).toMatchObject({ sameTree: true, causes: [{ code: "explain.encoding" }] });
});

test("explainDifference() reads the other side with the algorithm of a dump", async () => {
  const image = plainImage;
  await using source = await openTreeSource(image, { algorithms: ["sha256"] });
  await toCanonicalTree(source, false);
  const path = newPath();
  await storeFile(path, Readable.from(dumpTree(source.tree, "sha256")));
  const dump = `dump:${path}`;
  for (const pair of [[image, dump] as const, [dump, image] as const]) {
    expect(await explain(...pair)).toMatchObject({ equal: true, a: { format: "v1-sha256" } });
  }
  const refused = (options: ExplainOptions) => codeOfAsync(() => explain(image, dump, options));
  expect(await refused({ format: "v1-sha512" })).toBe("explain.format.algorithm");
  expect(await explain(await dumpOf(image), dump)).toMatchObject({ causes: [{ code: "explain.format" }] });
});

test("explainDifference() compares an image with the dump in its /boot", async () => {
  const image = plainImage;
  const path = (await dumpOf(image)).slice("dump:".length);
  const text = await readFile(path, "latin1");
  const dumpLayer = (dump: string) =>
    layer(dir("boot", { mtimeSec: 5n, mtimeNsec: 250_000_000 }), file("boot/6.1.dump", dump));
  const sealed = await imageOf(layer(...base), dumpLayer(text));
  expect(await explain(sealed)).toMatchObject({
    equal: true,
    a: { kind: "embedded-dump", reference: `${sealed} /boot/6.1.dump` },
    b: { kind: "image" },
  });
  const changed = await imageOf(layer(...base), dumpLayer(text), layer(file("etc/later", "")));
  expect(await explain(changed)).toMatchObject({
    causes: [
      { code: "explain.only-in-b", examples: [{ path: "/etc/later", layers: { b: { createdBy: "RUN step 2" } } }] },
    ],
  });
  expect(await codeOfAsync(() => explain(image))).toBe("explain.second-missing");
});

test("explainDifference() is about a root file system in a directory, too", async () => {
  const root = newPath();
  for (const name of ["usr/bin", "etc", "boot", "sysroot"]) await mkdir(join(root, name), { recursive: true });
  await writeFile(join(root, "usr/bin/tool"), large);
  const reference = `dir:${root}`;
  const report = await explain(reference, await dumpOf(reference, setMeta("usr/bin/tool", { mode: 0o4755 })));
  expect(report).toMatchObject({ a: { kind: "directory" }, causes: [{ code: "explain.mode", count: 1 }] });
});
