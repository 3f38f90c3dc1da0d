import { expect, test } from "vitest";
import { entry, layer, showTree } from "../../../test/layers.ts";
import { randomTree } from "../../../test/random-tree.ts";
import { computeComposefsDigest, parseComposefsFormat } from "../composefs/index.ts";
import { treeFromLayers } from "./apply.ts";
import { cloneTree } from "./clone.ts";
import { lookup } from "./tree.ts";
import { nodesOf } from "./walk.ts";

test.each([1, 2, 3])("cloneTree() of random tree %i has its digest and none of its nodes", (seed) => {
  const tree = randomTree(seed, 200);
  const clone = cloneTree(tree);
  const format = parseComposefsFormat("v1-sha256");
  expect(computeComposefsDigest(clone, format)).toEqual(computeComposefsDigest(tree, format));
  const nodes = new Set(nodesOf(tree.root));
  expect([...nodesOf(clone.root)].filter((node) => nodes.has(node))).toEqual([]);
});

test("cloneTree() keeps hard links and gives nodes the metadata it is told", () => {
  const { dir, file, link } = entry;
  const tree = treeFromLayers([layer(dir("d"), file("d/f", "text"), link("d/g", "d/f"))]);
  const leaf = lookup(tree, "d/f");
  if (leaf === undefined) throw new TypeError("d/f is absent");
  const clone = cloneTree(tree, new Map([[leaf, { ...leaf.meta, mode: 0o600 }]]));
  expect(showTree(clone, ({ mode }) => mode.toString(8)).slice(1)).toEqual([
    "/d directory 755",
    "/d/f file text 600 #1",
    "/d/g file text 600 #1",
  ]);
  expect(lookup(tree, "d/f")?.meta.mode).toBe(0o644);
});
