import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { vector } from "../../../test/fixtures.ts";
import { randomTree } from "../../../test/random-tree.ts";
import { FormatError, UnsupportedError } from "../../lib/errors.ts";
import type { Tree } from "../tree/tree.ts";
import { dumpTree, encodeComposefsImage, parseComposefsFormat, treeFromDump, treeFromErofs } from "./index.ts";

const versions = [0, 1, 2] as const;
const dumpOf = (tree: Tree, algorithm: "sha256" | "sha512"): string =>
  Buffer.concat([...dumpTree(tree, algorithm)]).toString("latin1");

const dumps = `all-types big-dirs deep empty external-sizes hardlinks ids inline-sizes mtimes names noverity-sparse
  random-00 random-01 random-02 random-03 shared-128 shared-140 simple stub-collisions symlink-padding whiteouts
  worked-example xattrs xattrs-huge overlay-escape external-size0 all-types-sha512 random-04-sha512`.split(/\s+/);

test.each(dumps)("%s: dump to tree to image to tree to dump is the identity", (name) => {
  const algorithm = name.endsWith("sha512") ? "sha512" : "sha256";
  const tree = treeFromDump(readFileSync(vector(`composefs/dumps/${name}.dump`)));
  const dump = dumpOf(tree, algorithm);
  expect(dumpOf(treeFromDump(Buffer.from(dump, "latin1")), algorithm)).toBe(dump);
  for (const version of versions) {
    const image = encodeComposefsImage(tree, parseComposefsFormat(`v${version}-${algorithm}`));
    const again = dumpOf(treeFromErofs(image), algorithm);
    // V2 has no nanoseconds; so has its tree.
    expect(again).toBe(version === 2 ? dump.replaceAll(/^((?:\S+ ){7}\d+)\.\d+/gm, "$1.0") : dump);
  }
});

test.each([
  "basic.plain.sha256",
  "basic.no-oci-transform.sha512",
  "hardlinks.plain.sha256",
  "selinux-boot.boot.sha512",
])("the dump of %s, as composefs-rs wrote it, is read and written unchanged", (name) => {
  const dump = readFileSync(vector(`composefs/oci/${name}.dump`));
  expect(dumpOf(treeFromDump(dump), name.endsWith("512") ? "sha512" : "sha256")).toBe(dump.toString("latin1"));
});

test("treeFromErofs() gives back random trees, and their images again", () => {
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 0, max: 120 }), (seed, count) => {
      const tree = randomTree(seed, count);
      for (const version of [0, 1] as const) {
        const format = parseComposefsFormat(`v${version}-sha256`);
        const image = encodeComposefsImage(tree, format);
        const again = treeFromErofs(image);
        expect(dumpOf(again, "sha256")).toBe(dumpOf(tree, "sha256"));
        expect(Buffer.compare(encodeComposefsImage(again, format), image)).toBe(0);
      }
    }),
    { numRuns: 40 },
  );
});

const images = ["all-types.v1", "xattrs.v1", "hardlinks.v2", "whiteouts.v1"].map((name) =>
  readFileSync(vector(`composefs/images/${name}.erofs`)),
);

test("treeFromErofs() answers mutated images with a tree or a refusal", () => {
  const change = fc.record({ at: fc.nat(), value: fc.nat(255), near: fc.boolean() });
  fc.assert(
    fc.property(fc.constantFrom(...images), fc.array(change, { minLength: 1, maxLength: 8 }), (image, changes) => {
      const bytes = Uint8Array.from(image);
      // Most of an image is stubs: half of the changes go to the header, the root and their neighbours.
      for (const { at, value, near } of changes) bytes[near ? 1024 + (at % 512) : at % bytes.length] = value;
      expectTotal(() => treeFromErofs(bytes));
    }),
    { numRuns: 1500 },
  );
});

test("treeFromErofs() answers cut images and random bytes with a refusal", () => {
  const [image] = images as [Buffer];
  for (let size = 0; size < image.length; size += 97) expectTotal(() => treeFromErofs(image.subarray(0, size)));
  fc.assert(fc.property(fc.uint8Array({ maxLength: 3000 }), (bytes) => expectTotal(() => treeFromErofs(bytes))));
});

function expectTotal(read: () => unknown): void {
  try {
    read();
  } catch (error) {
    if (error instanceof FormatError || error instanceof UnsupportedError) return;
    throw error;
  }
}
