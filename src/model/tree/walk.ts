import type { Directory, TreeNode } from "./tree.ts";

/** Every directory, parents first, without order among children; costs no stack however deep the tree is. */
export function* directoriesOf(root: Directory): Generator<Directory> {
  const open = [root];
  for (let directory = open.pop(); directory !== undefined; directory = open.pop()) {
    yield directory;
    for (const node of directory.entries.values()) if (node.kind === "directory") open.push(node);
  }
}

/** Every directory and every leaf, each leaf as often as it has names. */
export function* nodesOf(root: Directory): Generator<TreeNode> {
  for (const directory of directoriesOf(root)) {
    yield directory;
    for (const node of directory.entries.values()) if (node.kind !== "directory") yield node;
  }
}
