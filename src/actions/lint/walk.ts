import { type ByteString, showByteString } from "../../lib/bytes/byte-string.ts";
import { lookup, sortedEntries, type Tree, type TreeNode } from "../../model/tree/tree.ts";

export interface NamedNode {
  readonly name: ByteString;
  /** Absolute, for people. */
  readonly path: string;
  readonly node: TreeNode;
}

/** Every node below a directory, in byte order, a directory before what is in it. The directory itself is left out. */
export function* walk(
  tree: Tree,
  directory = "",
  enter: (node: NamedNode) => boolean = () => true,
): Generator<NamedNode> {
  const start = lookup(tree, directory);
  const open: NamedNode[] = [];
  const push = (path: string, node: TreeNode): void => {
    if (node.kind !== "directory") return;
    for (const [name, child] of sortedEntries(node).reverse()) {
      open.push({ name, path: `${path}/${showByteString(name)}`, node: child });
    }
  };
  if (start !== undefined) push(directory, start);
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    yield next;
    if (enter(next)) push(next.path, next.node);
  }
}
