import { expect, test } from "vitest";
import { type Branch, compactTree } from "./compact-tree.ts";

const leaf = (item: string): Branch<string> => ({ item, children: [], weight: 1 });
const branch = (item: string, weight: number, ...children: Branch<string>[]): Branch<string> => ({
  item,
  children,
  weight,
});
const tree = [
  branch("light", 1, leaf("a"), leaf("b")),
  branch("heavy", 9, branch("deep", 8, leaf("c"), leaf("d")), leaf("e")),
  branch("whole", 0, leaf("f")),
];
const show = (lines: number) => compactTree(tree, lines).map(({ depth, item }) => `${" ".repeat(depth)}${item}`);

test.each([
  [0, ["light", "heavy", "whole"]],
  [5, ["light", "heavy", " deep", " e", "whole"]],
  [8, ["light", "heavy", " deep", "  c", "  d", " e", "whole"]],
  [9, ["light", " a", " b", "heavy", " deep", "  c", "  d", " e", "whole"]],
  [99, ["light", " a", " b", "heavy", " deep", "  c", "  d", " e", "whole"]],
  [Number.POSITIVE_INFINITY, ["light", " a", " b", "heavy", " deep", "  c", "  d", " e", "whole", " f"]],
])("compactTree() in %d lines opens the heaviest branches", (lines, expected) => {
  expect(show(lines)).toEqual(expected);
});
