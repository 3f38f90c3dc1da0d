import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { codeOfAsync } from "../../../test/code-of.ts";
import { vector } from "../../../test/fixtures.ts";
import { entry, layer, xattrs } from "../../../test/layers.ts";
import { encodeLayer, writeImageOf } from "../../../test/write-layers.ts";
import type { ByteString } from "../../lib/bytes/byte-string.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { computeComposefsDigest, parseComposefsFormat } from "../../model/composefs/index.ts";
import type { LayerRecord } from "../../model/layer/entry.ts";
import { treeFromLayers } from "../../model/tree/apply.ts";
import { toBootTree, toOciTree } from "../../model/tree/transform.ts";
import { type Directory, lookup, type Tree, type TreeNode } from "../../model/tree/tree.ts";
import { directoriesOf, nodesOf } from "../../model/tree/walk.ts";
import { findVariant } from "./index.ts";

let directory: string;
let count = 0;
let cacheDirectory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "sealwright-variant-"));
  cacheDirectory = join(directory, "cache");
});
afterAll(() => rm(directory, { recursive: true, force: true }));

interface OciVector {
  readonly name: string;
  readonly layers: readonly string[];
  readonly results: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

const vectors = JSON.parse(readFileSync(vector("composefs/expected-oci.json"), "utf8")) as OciVector[];

/** Digests that composefs-rs computed of layers. The first is what bootc does, as far as the image allows it. */
const known: readonly [image: string, mode: string, options: string][] = [
  ["basic", "plain", ""],
  ["basic", "keep-user-xattrs", " xattrs=keep-user"],
  ["basic", "no-oci-transform", " root=as-is xattrs=keep-user"],
  ["selinux-boot", "boot", ""],
  ["selinux-boot", "plain", " boot=left-out"],
  ["nopolicy-boot", "boot", ""],
  ["nopolicy-boot", "plain", " boot=left-out"],
  ["layers", "plain", ""],
  ["hardlinks", "plain", ""],
];

test.each(known)("findVariant() recognises the digests of composefs-rs for %s, %s", async (name, mode, options) => {
  const found = vectors.find((one) => one.name === name) as OciVector;
  const reference = `oci:${join(directory, String(count++))}`;
  await writeImageOf(
    reference,
    found.layers.map((file) => readFileSync(vector(`composefs/oci/${file}`))),
  );
  for (const [key, digest] of Object.entries(found.results[mode] ?? {})) {
    const [, version, algorithm] = /^V(\d) (sha\d+)$/.exec(key) ?? [];
    if (version === undefined) continue;
    const report = await findVariant(reference, digest, { cacheDirectory });
    expect(report.found?.name).toBe(`v${version}-${algorithm}${options}`);
  }
});

const { dir, file, link, symlink } = entry;
const modules = "usr/lib/modules/6.1";

/** Every switch makes a difference to it. Contents are small enough to need no digest. */
const layers: readonly LayerRecord[] = [
  layer(
    dir("usr", { mtimeSec: 100n, mtimeNsec: 500_000_000 }),
    dir("usr/lib", { mtimeSec: 101n }),
    dir("usr/lib/modules", { mtimeSec: 102n }),
    dir(modules, { mtimeSec: 103n, mtimeNsec: 7 }),
    file(`${modules}/vmlinuz`, "kernel"),
    file(`${modules}/initramfs.img`, "initramfs"),
    dir("boot", { mtimeSec: 5n, mtimeNsec: 250_000_000 }),
    dir("sysroot", { mtimeSec: 6n }),
    dir("etc", { mtimeSec: 7n }),
    file("etc/file", "text", { xattrs: xattrs({ "user.a": "1", "trusted.b": "2", "security.selinux": "a:b:c" }) }),
    link("etc/name", "etc/file"),
    { ...symlink("etc/link", "file"), meta: { ...symlink("etc/link", "file").meta, mode: 0o755 } },
  ),
  layer(dir("usr/lib", { mtimeSec: 900n }), file("usr/lib/second", "2")),
  layer(dir("boot", { mtimeSec: 8n, mtimeNsec: 125_000_000 }), file("boot/third", "3"), file("etc/third", "3")),
];

const noRead = () => Promise.reject(new Error("nothing is read"));

async function bootTree(records: readonly LayerRecord[] = layers): Promise<Tree> {
  const tree = toOciTree(treeFromLayers(records));
  await toBootTree(tree, noRead);
  return tree;
}

const digestOf = (tree: Tree, format = "v1-sha512") =>
  toHex(computeComposefsDigest(tree, parseComposefsFormat(format)));

function withNodes(tree: Tree, change: (node: TreeNode) => void): Tree {
  for (const node of new Set(nodesOf(tree.root))) change(node);
  return tree;
}

function directoryAt(tree: Tree, path: string): Directory {
  const node = lookup(tree, path);
  if (node?.kind !== "directory") throw new TypeError(`${path} is no directory`);
  return node;
}

function setNanoseconds(tree: Tree, mtimeNsec: number): Tree {
  for (const path of ["boot", "sysroot"]) {
    const node = directoryAt(tree, path);
    node.meta = { ...node.meta, mtimeNsec };
  }
  return tree;
}

test.each<[name: string, make: () => Promise<Tree>]>([
  ["v1-sha512", bootTree],
  ["v2-sha512", bootTree],
  ["v0-sha512", bootTree],
  ["v2-sha256", bootTree],
  ["v1-sha512 layers=without-top-1", () => bootTree(layers.slice(0, 2))],
  ["v1-sha512 layers=without-top-2", () => bootTree(layers.slice(0, 1))],
  [
    "v1-sha512 directory-times=first",
    async () => {
      const tree = await bootTree();
      const [lib, boot] = [directoryAt(tree, "usr/lib"), directoryAt(tree, "boot")];
      lib.meta = { ...lib.meta, mtimeSec: 101n };
      boot.meta = { ...boot.meta, mtimeNsec: 250_000_000 };
      return tree;
    },
  ],
  [
    "v1-sha512 kernel=removed",
    async () => {
      const tree = await bootTree();
      for (const name of ["vmlinuz", "initramfs.img"]) directoryAt(tree, modules).entries.delete(name as ByteString);
      return tree;
    },
  ],
  [
    "v2-sha512 xattrs=all",
    async () => {
      const tree = toOciTree(treeFromLayers(layers), { keepAllXattrs: true });
      await toBootTree(tree, noRead);
      return tree;
    },
  ],
  ["v1-sha512 boot=left-out", () => Promise.resolve(toOciTree(treeFromLayers(layers)))],
  ["v1-sha512 boot-nanoseconds=from-usr", async () => setNanoseconds(await bootTree(), 500_000_000)],
  ["v1-sha512 boot-nanoseconds=zero", async () => setNanoseconds(await bootTree(), 0)],
  [
    "v1-sha512 times=whole-seconds",
    async () =>
      withNodes(await bootTree(), (node) => {
        node.meta = { ...node.meta, mtimeNsec: 0 };
      }),
  ],
  [
    "v1-sha256 times=epoch",
    async () =>
      withNodes(await bootTree(), (node) => {
        node.meta = { ...node.meta, mtimeSec: 0n, mtimeNsec: 0 };
      }),
  ],
  [
    "v1-sha512 symlink-modes=0777",
    async () =>
      withNodes(await bootTree(), (node) => {
        if (node.kind === "symlink") node.meta = { ...node.meta, mode: 0o777 };
      }),
  ],
  [
    "v1-sha512 hard-links=split",
    async () => {
      const tree = await bootTree();
      for (const { entries } of directoriesOf(tree.root)) {
        for (const [name, node] of entries) if (node.kind !== "directory") entries.set(name, { ...node });
      }
      return tree;
    },
  ],
  [
    "v1-sha512 times=whole-seconds symlink-modes=0777",
    async () =>
      withNodes(await bootTree(), (node) => {
        node.meta = { ...node.meta, mtimeNsec: 0, mode: node.kind === "symlink" ? 0o777 : node.meta.mode };
      }),
  ],
])("findVariant() finds %s", async (name, make) => {
  const reference = await sharedImage();
  const [format = ""] = name.split(" ");
  const report = await findVariant(reference, digestOf(await make(), format), { cacheDirectory });
  expect(report.found?.name).toBe(name);
  expect(report.found?.tools.length).toBeGreaterThan(0);
});

let written: string | undefined;
async function sharedImage(): Promise<string> {
  if (written !== undefined) return written;
  written = `oci:${join(directory, String(count++))}`;
  await writeImageOf(written, layers.map(encodeLayer));
  return written;
}

test("findVariant() says what it tried when nothing gives the digest, and what to do", async () => {
  const reference = await sharedImage();
  const report = await findVariant(reference, `sha512:${"0".repeat(128)}`, { cacheDirectory });
  expect(report).not.toHaveProperty("found");
  expect(report.switches.map(({ name }) => name)).toEqual([
    "format",
    "layers",
    "directory-times",
    "kernel",
    "root",
    "xattrs",
    "boot",
    "labels",
    "boot-nanoseconds",
    "times",
    "symlink-modes",
    "hard-links",
  ]);
  expect(report).toMatchObject({ depth: 4, complete: true });
  expect(report.tried).toBeGreaterThan(1000);
  expect(report.advice.join("\n")).toContain(`sealwright explain ${reference} dump:FILE`);
});

test.each([
  ["xyz", "explain.against.malformed"],
  [`sha256:${"0".repeat(128)}`, "explain.against.malformed"],
  ["0".repeat(127), "explain.against.malformed"],
])("findVariant() refuses %s", async (digest, code) => {
  expect(await codeOfAsync(() => findVariant("oci:absent", digest))).toBe(code);
});

test("findVariant() takes a digest as a kernel command line has it", async () => {
  const digest = digestOf(await bootTree());
  const report = await findVariant(await sharedImage(), `v1-sha512-12:${digest.toUpperCase()}`, { cacheDirectory });
  expect(report.found?.name).toBe("v1-sha512");
});

test("findVariant() refuses a dump, which is finished", async () => {
  expect(await codeOfAsync(() => findVariant("dump:x", "0".repeat(128)))).toBe("explain.against.finished");
});
