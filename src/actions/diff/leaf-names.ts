import { showByteString } from "../../lib/bytes/byte-string.ts";
import { type Directory, type Leaf, sortedEntries, type Tree } from "../../model/tree/tree.ts";

export type LeafNames = ReadonlyMap<Leaf, readonly string[]>;

/** Every leaf that has several names, with all of them, in the order of a walk. */
export function namesOfLeaves(tree: Tree): LeafNames {
  const several = leavesWithSeveralNames(tree);
  const names = new Map<Leaf, string[]>();
  if (several.size === 0) return names;
  const walk = (directory: Directory, path: string): void => {
    for (const [name, node] of sortedEntries(directory)) {
      if (node.kind === "directory") walk(node, `${path}/${showByteString(name)}`);
      else if (several.has(node)) {
        const known = names.get(node) ?? [];
        known.push(`${path}/${showByteString(name)}`);
        names.set(node, known);
      }
    }
  };
  walk(tree.root, "");
  return names;
}

function leavesWithSeveralNames(tree: Tree): ReadonlySet<Leaf> {
  const met = new Set<Leaf>();
  const several = new Set<Leaf>();
  const open = [tree.root];
  for (let directory = open.pop(); directory !== undefined; directory = open.pop()) {
    for (const node of directory.entries.values()) {
      if (node.kind === "directory") open.push(node);
      else if (met.has(node)) several.add(node);
      else met.add(node);
    }
  }
  return several;
}
