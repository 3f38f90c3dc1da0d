import { execFileSync } from "node:child_process";
import { chmodSync, linkSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { codeOf } from "../../../test/code-of.ts";
import { vector } from "../../../test/fixtures.ts";
import { FormatError, UnsupportedError } from "../../lib/errors.ts";
import { type ErofsImage, MODE_TYPE, MODE_TYPE_MASK, openErofs } from "./index.ts";

let directory: string;
const contents = new Map<string, Uint8Array>();

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "erofs-"));
  const root = join(directory, "root");
  mkdirSync(join(root, "sub/deep"), { recursive: true });
  for (const size of [0, 1, 100, 3000, 4096, 5000, 12_288, 100_000]) {
    const bytes = Uint8Array.from({ length: size }, (_, index) => (index * 7 + size) % 251);
    writeFileSync(join(root, "sub", `file-${size}`), bytes);
    contents.set(`/sub/file-${size}`, bytes);
  }
  for (let index = 0; index < 400; index++) {
    writeFileSync(join(root, "sub/deep", `entry-${index}`), String(index));
    contents.set(`/sub/deep/entry-${index}`, Buffer.from(String(index)));
  }
  symlinkSync("../target", join(root, "sub/link"));
  linkSync(join(root, "sub/file-100"), join(root, "hard"));
  contents.set("/hard", contents.get("/sub/file-100") as Uint8Array);
  chmodSync(join(root, "hard"), 0o4751);
});
afterAll(() => rmSync(directory, { recursive: true }));

function makeImage(...options: string[]): Uint8Array {
  const path = join(directory, "image.erofs");
  rmSync(path, { force: true });
  execFileSync("mkfs.erofs", ["--quiet", ...options, path, join(directory, "root")]);
  return readFileSync(path);
}

/** Contents of every file by path. */
function filesOf(
  image: ErofsImage,
  nid: number = image.superblock.rootNid,
  path: string = "",
): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  for (const entry of image.entries(image.inode(nid))) {
    if (entry.name === "." || entry.name === "..") continue;
    const inode = image.inode(entry.nid);
    const type = inode.mode & MODE_TYPE_MASK;
    const name = `${path}/${entry.name}`;
    if (type === MODE_TYPE.directory) for (const file of filesOf(image, entry.nid, name)) files.set(...file);
    if (type === MODE_TYPE.file) files.set(name, Uint8Array.from(image.content(inode)));
    if (type === MODE_TYPE.symlink) expect(Buffer.from(image.content(inode)).toString()).toBe("../target");
  }
  return files;
}

test.each([
  ["compact inodes", "flat-inline", ["-Eforce-inode-compact", "-T1"]],
  ["extended inodes", "flat-inline", ["-Eforce-inode-extended"]],
  ["4-byte chunk addresses", "chunk-based", ["--chunksize=4096", "-Eforce-inode-blockmap"]],
  ["8-byte chunk indexes", "chunk-based", ["--chunksize=8192", "-Eforce-chunk-indexes"]],
])("openErofs() reads an image of mkfs.erofs with %s", (_, layout, options) => {
  const image = openErofs(makeImage(...options));
  expect(image.composefsVersion).toBeUndefined();
  const files = filesOf(image);
  expect(new Set(files.keys())).toEqual(new Set(contents.keys()));
  for (const [path, bytes] of contents) expect(files.get(path)).toEqual(Uint8Array.from(bytes));
  expect(find(image, "/sub/file-100000").layout).toBe(layout);
  const [hard, file] = ["/hard", "/sub/file-100"].map((path) => find(image, path));
  expect(hard).toEqual(file);
  expect(hard?.nlink).toBe(2);
  expect(hard?.mode).toBe(0o104751);
});

function find(image: ErofsImage, path: string): ReturnType<ErofsImage["inode"]> {
  let inode = image.inode(image.superblock.rootNid);
  for (const name of path.split("/").slice(1)) {
    inode = image.inode(image.entries(inode).find((entry) => entry.name === name)?.nid ?? -1);
  }
  return inode;
}

test("openErofs() names compression as what it does not read", () => {
  const image = makeImage("-zlz4");
  expect(codeOf(() => filesOf(openErofs(image)))).toMatch(/^erofs\.(feature|layout\.compressed)$/);
});

test("xattrs() gives full names of shared and of own xattrs", () => {
  const image = openErofs(readFileSync(vector("composefs/images/worked-example.v1.erofs")));
  expect(image.composefsVersion).toBe(1);
  expect(image.xattrs(find(image, "/y"))).toEqual([{ name: "user.k", value: "v" }]);
  const names = image.xattrs(find(image, "/x")).map(({ name }) => name);
  expect(names).toEqual(["user.k", "trusted.overlay.metacopy", "trusted.overlay.redirect"]);
});

const example = readFileSync(vector("composefs/images/worked-example.v1.erofs"));

// Offsets: the worked example of the composefs specification, section 6.13.
test.each([
  ["erofs.truncated", 0, [], 1100],
  ["erofs.superblock.magic", 0x400, [0], 16_384],
  ["erofs.superblock.block-bits", 0x40c, [8], 16_384],
  ["erofs.feature", 0x450, [0x40], 16_384],
  ["erofs.composefs-version", 0x0c, [3], 16_384],
  ["erofs.truncated", 0x40e, [0xff, 0xff], 16_384],
  ["erofs.inode.format", 0x480, [0x10], 16_384],
  ["erofs.layout.compressed", 0x480, [0x02], 16_384],
  ["erofs.inode.layout", 0x480, [0x0a], 16_384],
  ["erofs.inode.mode", 0x484, [0, 0], 16_384],
  ["erofs.directory.mode", 0x485, [0x80], 16_384],
  ["erofs.directory.name-offset", 0x3008, [1], 16_384],
  ["erofs.directory.order", 0x3000 + 0xc3c, [0x7f], 16_384],
  ["erofs.directory.name", 0x3000 + 0xc3f, [0x2f], 16_384],
  ["erofs.xattr.shared-count", 0x4a4, [9], 16_384],
  ["erofs.xattr.name", 0x4ad, [7], 16_384],
  ["erofs.xattr.long-prefix", 0x4ad, [0x80], 16_384],
  ["erofs.content.too-large", 0x48b, [0x7f], 16_384],
] as const)("openErofs() and its methods refuse with %s", (code, at, patch, size) => {
  const bytes = Uint8Array.from(example);
  bytes.set(patch, at);
  const read = (): void => {
    const image = openErofs(bytes.subarray(0, size));
    const root = image.inode(image.superblock.rootNid);
    image.entries(root);
    image.xattrs(root);
  };
  expect(codeOf(read)).toBe(code);
});

test("openErofs() and its methods answer mutated bytes with values or refusals", () => {
  const change = fc.tuple(fc.nat(0x2700), fc.nat(255));
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), fc.nat(300), (changes, nid) => {
      const bytes = Uint8Array.from(example);
      for (const [at, value] of changes) bytes[at] = value;
      try {
        const image = openErofs(bytes);
        const inode = image.inode(nid);
        image.xattrs(inode);
        if ((inode.mode & MODE_TYPE_MASK) === MODE_TYPE.directory) image.entries(inode);
        else image.content(inode, 1 << 20);
      } catch (error) {
        if (!(error instanceof FormatError || error instanceof UnsupportedError)) throw error;
      }
    }),
    { numRuns: 3000 },
  );
});
