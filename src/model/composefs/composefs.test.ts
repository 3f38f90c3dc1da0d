import { expect, test } from "vitest";
import { codeOf } from "../../../test/code-of.ts";
import type { ByteString } from "../../lib/bytes/byte-string.ts";
import { emptyDirectory, type Leaf, type Metadata, NO_XATTRS, type Tree } from "../tree/tree.ts";
import {
  COMPOSEFS_FORMATS,
  computeComposefsDigest,
  DEFAULT_COMPOSEFS_FORMAT,
  dumpTree,
  encodeComposefsImage,
  parseComposefsFormat,
  treeFromDump,
} from "./index.ts";

const meta: Metadata = { mode: 0o644, uid: 0, gid: 0, mtimeSec: 0n, mtimeNsec: 0, xattrs: NO_XATTRS };

function treeWith(entries: Readonly<Record<string, Leaf>>): Tree {
  const root = emptyDirectory({ ...meta, mode: 0o755 });
  for (const [name, node] of Object.entries(entries)) root.entries.set(name as ByteString, node);
  return { root };
}

test("parseComposefsFormat() knows every format by its name and by composefs-rs's longer one", () => {
  expect(COMPOSEFS_FORMATS.map(({ name }) => name)).toEqual(
    [0, 1, 2].flatMap((version) => [`v${version}-sha256`, `v${version}-sha512`]),
  );
  for (const format of COMPOSEFS_FORMATS) {
    expect(parseComposefsFormat(format.name)).toBe(format);
    expect(parseComposefsFormat(`${format.name}-12`)).toBe(format);
  }
  expect(DEFAULT_COMPOSEFS_FORMAT.name).toBe("v1-sha512");
  for (const text of ["", "v3-sha256", "v1-sha384", "v1-sha512-13", "V1-sha512"]) {
    expect(codeOf(() => parseComposefsFormat(text))).toBe("composefs.format.unknown");
  }
});

const external: Leaf = {
  kind: "file",
  content: { kind: "external", size: 100n, digests: { sha256: new Uint8Array(32) } },
  meta,
};
const whiteout: Leaf = { kind: "char", rdev: 0, meta };
const xattrs = (name: string, value: string): Metadata => ({
  ...meta,
  xattrs: new Map([[name as ByteString, value as ByteString]]),
});

test.each<[string, Readonly<Record<string, Leaf>>]>([
  ["composefs.digest.missing", { a: external }],
  ["composefs.whiteout.hard-linked", { a: whiteout, b: whiteout }],
  ["composefs.name.malformed", { "..": whiteout }],
  ["composefs.name.malformed", { "a/b": whiteout }],
  ["composefs.name.malformed", { "a\0": whiteout }],
  ["composefs.name.malformed", { "": whiteout }],
  ["erofs.name.length", { ["x".repeat(256)]: whiteout }],
  ["composefs.symlink.target-length", { a: { kind: "symlink", target: "" as ByteString, meta } }],
  ["composefs.symlink.target-length", { a: { kind: "symlink", target: "x".repeat(4096) as ByteString, meta } }],
  ["composefs.file.size", { a: { kind: "file", content: { kind: "sparse", size: 2n ** 53n + 1n }, meta } }],
  ["erofs.xattr.value-size", { a: { kind: "fifo", meta: xattrs("user.a", "x".repeat(65_536)) } }],
  ["erofs.xattr.name-length", { a: { kind: "fifo", meta: xattrs(`user.${"x".repeat(256)}`, "") } }],
])("encodeComposefsImage() refuses with %s", (code, entries) => {
  expect(codeOf(() => encodeComposefsImage(treeWith(entries), DEFAULT_COMPOSEFS_FORMAT))).toBe(code);
});

test("encodeComposefsImage() refuses more shared xattrs of one inode than it can count", () => {
  const many = new Map(Array.from({ length: 256 }, (_, i) => [`user.${i}` as ByteString, "" as ByteString]));
  const leaf = (): Leaf => ({ kind: "fifo", meta: { ...meta, xattrs: many } });
  expect(codeOf(() => encodeComposefsImage(treeWith({ a: leaf(), b: leaf() }), DEFAULT_COMPOSEFS_FORMAT))).toBe(
    "erofs.xattr.shared-count",
  );
});

test("computeComposefsDigest() and dumpTree() name the file whose digest is of the other algorithm", () => {
  const tree = treeWith({ "some file": external });
  expect(() => computeComposefsDigest(tree, DEFAULT_COMPOSEFS_FORMAT)).toThrow(/"\/some file".*sha512.*has sha256/);
  expect(codeOf(() => [...dumpTree(tree, "sha512")])).toBe("composefs.digest.missing");
});

test.each([
  ["dumpfile.empty", ""],
  ["dumpfile.root.not-first", "/a 0 40755 2 0 0 0 0.0 - - -"],
  ["dumpfile.root.not-directory", "/ 0 10755 1 0 0 0 0.0 - - -"],
  ["dumpfile.path.duplicate", "/ 0 40755 2 0 0 0 0.0 - - -\n/ 0 40755 2 0 0 0 0.0 - - -"],
  [
    "dumpfile.path.duplicate",
    "/ 0 40755 2 0 0 0 0.0 - - -\n/a 0 10644 1 0 0 0 0.0 - - -\n/a 0 10644 1 0 0 0 0.0 - - -",
  ],
  ["dumpfile.path.no-parent", "/ 0 40755 2 0 0 0 0.0 - - -\n/a/b 0 10644 1 0 0 0 0.0 - - -"],
  ["dumpfile.hardlink.target-missing", "/ 0 40755 2 0 0 0 0.0 - - -\n/a 0 @100644 - - - - - /b - -"],
  [
    "dumpfile.hardlink.directory",
    "/ 0 40755 3 0 0 0 0.0 - - -\n/a 0 40755 2 0 0 0 0.0 - - -\n/b 0 @1 - - - - - /a - -",
  ],
  [
    "dumpfile.whiteout.hard-linked",
    "/ 0 40755 2 0 0 0 0.0 - - -\n/a 0 20644 1 0 0 0 0.0 - - -\n/b 0 @1 - - - - - /a - -",
  ],
])("treeFromDump() refuses with %s", (code, dump) => {
  expect(codeOf(() => treeFromDump(Buffer.from(dump)))).toBe(code);
});

const fifo = (): Leaf => ({ kind: "fifo", meta });

test("the digest does not depend on the order in which a tree was filled", () => {
  const [one, other] = [
    treeWith({ a: fifo(), b: fifo(), "!": fifo() }),
    treeWith({ "!": fifo(), b: fifo(), a: fifo() }),
  ];
  for (const format of COMPOSEFS_FORMATS) {
    expect(computeComposefsDigest(one, format)).toEqual(computeComposefsDigest(other, format));
  }
});
