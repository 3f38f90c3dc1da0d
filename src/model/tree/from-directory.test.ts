import { mkdirSync, readFileSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { vector } from "../../../test/fixtures.ts";
import { computeFsverityDigest, type VerityAlgorithm } from "../../formats/fsverity/index.ts";
import { type ByteString, byteString } from "../../lib/bytes/byte-string.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { dumpTree } from "../composefs/index.ts";
import { runCommand } from "../host-io/command.ts";
import { openTempDir, type TempDir } from "../host-io/temp.ts";
import { digestFiles } from "../layer/digest-files.ts";
import { type ReadDirectoryOptions, readDirectory } from "./from-directory.ts";
import { toOciTree } from "./transform.ts";
import { type Leaf, lookup, type Tree } from "./tree.ts";

const isRoot = process.getuid?.() === 0;
const algorithms: readonly VerityAlgorithm[] = ["sha256"];

const read = (path: string, more: Partial<ReadDirectoryOptions> = {}): Promise<Tree> =>
  readDirectory(path, { algorithms, ...more });

let temp: TempDir;
let root: string;
const sh = (script: string): Promise<unknown> => runCommand(["sh", "-euc", script], { cwd: root });
const leaf = (tree: Tree, path: string): Leaf => lookup(tree, path) as Leaf;
const contentOf = (tree: Tree, path: string) => {
  const node = leaf(tree, path);
  return node.kind === "file" ? node.content : undefined;
};

const digestOf = (tree: Tree, path: string) => {
  const content = contentOf(tree, path);
  return content?.kind === "external" ? toHex(content.digests.sha256 as Uint8Array) : undefined;
};
const expectedDigest = (bytes: Uint8Array) => toHex(computeFsverityDigest(bytes, "sha256"));

beforeEach(async () => {
  temp = await openTempDir("sealwright-test");
  root = `${temp.path}/root`;
  mkdirSync(root);
});
afterEach(async () => await temp[Symbol.asyncDispose]());

test.runIf(isRoot).each(["selinux-boot", "nopolicy-boot", "types"])(
  "readDirectory() of the layer %s that tar extracted is the tree of composefs-rs",
  async (name) => {
    const layer = vector(`composefs/oci/${name}.layer0.tar`);
    await runCommand([
      "tar",
      "--xattrs",
      "--xattrs-include=*",
      "--numeric-owner",
      "--delay-directory-restore",
      "-xpf",
      layer,
      "-C",
      root,
    ]);
    const tree = toOciTree(await read(root));
    const dump = Buffer.concat([...dumpTree(tree, "sha256")]).toString();
    const expected = readFileSync(vector(`composefs/oci/${name}.plain.sha256.dump`), "utf8");
    // No file system of Linux keeps the mode of a symbolic link.
    expect(dump).toBe(expected.replace("/s644 3 120644", "/s644 3 120777"));
  },
);

test("readDirectory() reads modes, times, links and contents", async () => {
  await sh(`
    mkdir -m 1777 tmp; printf small > small; head -c 65 /dev/zero > large; head -c 64 /dev/zero > edge; : > empty
    ln large hard; ln -s ../some/where link; ln -s x dangling; mkfifo -m 640 pipe; chmod 4755 small
    touch -d '2024-02-03 04:05:06.123456789Z' large; touch -d '1969-12-31 23:59:58.25Z' edge; touch -h -d @7 link
  `);
  const tree = await read(root);
  expect([...tree.root.entries.keys()].toSorted()).toEqual([
    "dangling",
    "edge",
    "empty",
    "hard",
    "large",
    "link",
    "pipe",
    "small",
    "tmp",
  ]);
  expect(lookup(tree, "tmp")).toMatchObject({ kind: "directory", meta: { mode: 0o1777 } });
  expect(leaf(tree, "small")).toMatchObject({ meta: { mode: 0o4755, uid: process.getuid?.() } });
  expect(contentOf(tree, "small")).toEqual({ kind: "inline", bytes: Buffer.from("small") });
  expect(contentOf(tree, "empty")).toEqual({ kind: "inline", bytes: new Uint8Array() });
  expect(contentOf(tree, "edge")).toEqual({ kind: "inline", bytes: Buffer.alloc(64) });
  expect(contentOf(tree, "large")).toMatchObject({
    kind: "external",
    size: 65n,
    origin: { kind: "path", path: `${root}/hard` },
  });
  expect(digestOf(tree, "large")).toBe(expectedDigest(Buffer.alloc(65)));
  expect(leaf(tree, "hard")).toBe(leaf(tree, "large"));
  expect(leaf(tree, "link")).toMatchObject({
    kind: "symlink",
    target: "../some/where",
    meta: { mode: 0o777, mtimeSec: 7n },
  });
  expect(leaf(tree, "pipe")).toMatchObject({ kind: "fifo", meta: { mode: 0o640 } });
  expect(leaf(tree, "large").meta).toMatchObject({ mtimeSec: 1_706_933_106n, mtimeNsec: 123_456_789 });
  expect(leaf(tree, "edge").meta).toMatchObject({ mtimeSec: -2n, mtimeNsec: 250_000_000 });
});

test("readDirectory() keeps names that are not UTF-8, and hashes what they name", async () => {
  const name = Buffer.from([0x66, 0xff, 0x0a]);
  const content = Buffer.alloc(200_000, 7);
  writeFileSync(Buffer.concat([Buffer.from(`${root}/`), name]), content);
  writeFileSync(`${root}/größe`, content);
  const tree = await read(root);
  const odd = name.toString("latin1");
  const text = byteString("größe");
  expect([digestOf(tree, odd), digestOf(tree, text)]).toEqual([expectedDigest(content), expectedDigest(content)]);
  expect(contentOf(tree, odd)).toMatchObject({ origin: { path: Buffer.concat([Buffer.from(`${root}/`), name]) } });
  expect(contentOf(tree, text)).toMatchObject({ origin: { path: `${root}/größe` } });
});

test.runIf(isRoot)("readDirectory() reads devices, sockets and every extended attribute, as root", async () => {
  await sh(`
    mknod null c 1 3; mknod whiteout c 0 0; mknod disk b 8 300; : > cap; : > attrs; ln -s x link; mkdir dir
    setcap cap_setuid,cap_net_raw+ep cap
    setfattr -n user.binary -v 0x000aff3d attrs; setfattr -n user.empty attrs; setfattr -h -n trusted.t -v 0x80 link
    setfattr -n user.d -v text dir
  `);
  await runCommand(["python3", "-c", `import socket; socket.socket(socket.AF_UNIX).bind("${root}/socket")`]);
  const tree = await read(root);
  expect(leaf(tree, "null")).toMatchObject({ kind: "char", rdev: 259 });
  expect(leaf(tree, "whiteout")).toMatchObject({ kind: "char", rdev: 0 });
  expect(leaf(tree, "disk")).toMatchObject({ kind: "block", rdev: 1_050_668 });
  expect(leaf(tree, "socket")).toMatchObject({ kind: "socket" });
  expect(leaf(tree, "cap").meta.xattrs).toEqual(
    new Map([
      ["security.capability", Buffer.from("0100000280200000000000000000000000000000", "hex").toString("latin1")],
    ]),
  );
  expect(leaf(tree, "attrs").meta.xattrs).toEqual(
    new Map([
      ["user.binary", "\x00\n\xff="],
      ["user.empty", ""],
    ]),
  );
  expect(leaf(tree, "link").meta.xattrs).toEqual(new Map([["trusted.t", "\x80"]]));
  expect(lookup(tree, "dir")?.meta.xattrs).toEqual(new Map([["user.d", "text"]]));
});

test("readDirectory() goes as deep as a path can", async () => {
  await sh(`exec python3 -c 'import os
for _ in range(600): os.mkdir("d"); os.chdir("d")'`);
  let depth = 0;
  for (let node = (await read(root)).root.entries.get("d" as ByteString); node?.kind === "directory"; depth++) {
    node = node.entries.get("d" as ByteString);
  }
  expect(depth).toBe(600);
});

test.each([
  ["/", "tree.live-root"],
  ["/proc/self/root", "tree.live-root"],
  ["/nowhere/at/all", "input.not-found"],
  ["/etc/passwd", "input.not-found"],
])("readDirectory(%s) refuses with %s", async (path, code) => {
  await expect(read(path)).rejects.toMatchObject({ code });
});

test("readDirectory() follows a symbolic link to the directory itself", async () => {
  symlinkSync(root, `${temp.path}/link`);
  expect((await read(`${temp.path}/link`)).root.entries.size).toBe(0);
});

test.each([
  ["a new file", () => writeFileSync(`${root}/new`, "")],
  ["another content", () => writeFileSync(`${root}/large`, Buffer.alloc(100, 1))],
  ["another time", () => utimesSync(`${root}/large`, 1, 1)],
])("readDirectory() refuses %s while it reads", async (_, change) => {
  writeFileSync(`${root}/large`, Buffer.alloc(100));
  const slow: typeof digestFiles = async (files, options) => {
    const digests = await digestFiles(files, options);
    change();
    return digests;
  };
  await expect(read(root, { digestFiles: slow })).rejects.toMatchObject({ code: "tree.file-changed" });
});

test.each(["file", "directory"])("readDirectory() names the %s it may not read, and what to do", async (what) => {
  await sh(`mkdir open; head -c 100 /dev/zero > open/file; mkdir open/directory; chmod 0 open/${what}; chmod 755 . ..`);
  const script = `
    import { readDirectory } from ${JSON.stringify(fileURLToPath(new URL("./from-directory.ts", import.meta.url)))};
    await readDirectory(${JSON.stringify(root)}, { algorithms: [], digestFiles: async () => [] }).then(
      () => console.log("accepted"), ({ code, message, hint }) => console.log(code, message, hint));
  `;
  const user = isRoot ? ["--reuid=65534", "--regid=65534", "--clear-groups"] : [];
  const { stdout } = await runCommand(["setpriv", ...user, process.execPath, "--input-type=module", "-e", script]);
  expect(Buffer.from(stdout).toString()).toMatch(
    new RegExp(`^tree\\.unreadable "${root}/open/${what}": cannot be read: EACCES .*fakeroot or sudo.*image`),
  );
});

test("readDirectory() stops when it is told to", async () => {
  await expect(read(root, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "interrupted" });
});
