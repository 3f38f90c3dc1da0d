import type { Directory, Leaf, Metadata, Tree, TreeNode } from "./tree.ts";

/**
 * A tree of its own nodes, to be changed as one likes. Metadata, contents and link targets are shared with the
 * original, which nothing changes in place; names of one leaf are names of one leaf again.
 *
 * @param metadata of the clones of these nodes
 */
export function cloneTree(tree: Tree, metadata?: ReadonlyMap<TreeNode, Metadata>): Tree {
  const metaOf = (node: TreeNode): Metadata => metadata?.get(node) ?? node.meta;
  const leaves = new Map<Leaf, Leaf>();
  const cloneLeaf = (leaf: Leaf): Leaf => {
    const known = leaves.get(leaf);
    if (known !== undefined) return known;
    const clone = { ...leaf, meta: metaOf(leaf) };
    leaves.set(leaf, clone);
    return clone;
  };
  const root: Directory = { kind: "directory", meta: metaOf(tree.root), entries: new Map() };
  const open = [{ from: tree.root, to: root }];
  for (let pair = open.pop(); pair !== undefined; pair = open.pop()) {
    for (const [name, node] of pair.from.entries) {
      const clone: TreeNode =
        node.kind === "directory" ? { ...node, meta: metaOf(node), entries: new Map() } : cloneLeaf(node);
      pair.to.entries.set(name, clone);
      if (node.kind === "directory" && clone.kind === "directory") open.push({ from: node, to: clone });
    }
  }
  return { root };
}
