import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ByteString } from "../../src/lib/bytes/byte-string.ts";
import { dumpTree, encodeComposefsImage, parseComposefsFormat } from "../../src/model/composefs/index.ts";
import { emptyDirectory, type Metadata, NO_XATTRS, type Tree } from "../../src/model/tree/tree.ts";
import { randomTree } from "../random-tree.ts";
import { mkcomposefs } from "../tools/composefs.ts";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "mkcomposefs-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

/** The image that the C tool makes of our dump of the tree. */
function imageByC(tree: Tree, version: 0 | 1): Uint8Array {
  const [dump, image] = [join(directory, "tree.dump"), join(directory, "tree.erofs")];
  writeFileSync(dump, Buffer.concat([...dumpTree(tree, "sha256")]));
  mkcomposefs([`--min-version=${version}`, `--max-version=${version}`, "--from-file", dump, image]);
  return readFileSync(image);
}

function expectSameImages(tree: Tree): void {
  for (const version of [0, 1] as const) {
    const ours = encodeComposefsImage(tree, parseComposefsFormat(`v${version}-sha256`));
    expect(Buffer.compare(ours, imageByC(tree, version)), `version ${version}`).toBe(0);
  }
}

const seeds = Array.from({ length: 40 }, (_, index) => index + 1);

test.each(seeds)("mkcomposefs makes the same images of random tree %i", (seed) => {
  expectSameImages(randomTree(seed, 5 + ((seed * 37) % 400)));
});

const meta: Metadata = { mode: 0o644, uid: 0, gid: 0, mtimeSec: 1n, mtimeNsec: 0, xattrs: NO_XATTRS };

test("mkcomposefs makes the same images of directories of thousands of entries", () => {
  const root = emptyDirectory({ ...meta, mode: 0o755 });
  for (const [name, count] of Object.entries({ short: 5000, long: 2000 })) {
    const inner = emptyDirectory({ ...meta, mode: 0o755 });
    root.entries.set(name as ByteString, inner);
    for (let index = 0; index < count; index++) {
      const length = name === "long" ? 1 + (index % 255) : 4;
      inner.entries.set(String(index).padStart(length, "x") as ByteString, { kind: "fifo", meta });
    }
  }
  expectSameImages({ root });
});

test("mkcomposefs makes the same images of symbolic links and xattrs of every size around a block", () => {
  const root = emptyDirectory({ ...meta, mode: 0o755 });
  for (let size = 1; size <= 1024; size += 11) {
    const xattrs = new Map([["user.fill" as ByteString, "\0".repeat(size * 4) as ByteString]]);
    const target = "t".repeat(size) as ByteString;
    root.entries.set(`link-${size}` as ByteString, { kind: "symlink", target, meta: { ...meta, xattrs } });
    const bytes = Buffer.alloc(size % 513, size);
    root.entries.set(`file-${size}` as ByteString, { kind: "file", content: { kind: "inline", bytes }, meta });
  }
  expectSameImages({ root });
});
