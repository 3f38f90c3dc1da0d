import { type DumpEntry, type DumpNode, encodeDumpLine } from "../../formats/dumpfile/index.ts";
import { type VerityAlgorithm } from "../../formats/fsverity/index.ts";
import { type ByteString, showByteString } from "../../lib/bytes/byte-string.ts";
import { PolicyError } from "../../lib/errors.ts";
import { type Content, type Directory, type Leaf, sortedEntries, type Tree } from "../tree/tree.ts";

/** Text that is collected before it is handed on. */
const CHUNK_SIZE = 1 << 16;

/**
 * Writes a tree as a dump with the digests of one algorithm: depth first in byte order, as composefs-rs does.
 *
 * @throws {PolicyError} `composefs.digest.missing` when a file has no digest of this algorithm
 */
export function* dumpTree(tree: Tree, algorithm: VerityAlgorithm): Generator<Uint8Array, void, void> {
  let text = "";
  for (const entry of dumpEntries(tree, algorithm)) {
    text += encodeDumpLine(entry);
    if (text.length < CHUNK_SIZE) continue;
    yield Buffer.from(text, "latin1");
    text = "";
  }
  yield Buffer.from(text, "latin1");
}

function* dumpEntries(tree: Tree, algorithm: VerityAlgorithm): Generator<DumpEntry, void, void> {
  const links = countLinks(tree.root);
  const firstPaths = new Map<Leaf, ByteString>();
  const stack: { readonly path: string; readonly node: Directory | Leaf }[] = [{ path: "", node: tree.root }];
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    const { node } = next;
    const path = (next.path === "" ? "/" : next.path) as ByteString;
    if (node.kind === "directory") {
      const entries = sortedEntries(node);
      const subdirectories = entries.filter(([, child]) => child.kind === "directory").length;
      yield { kind: "node", path, nlink: 2 + subdirectories, meta: node.meta, node: { kind: "directory" } };
      for (const [name, child] of entries.reverse()) stack.push({ path: `${next.path}/${name}`, node: child });
      continue;
    }
    const target = firstPaths.get(node);
    if (target !== undefined) {
      yield { kind: "hardlink", path, target };
      continue;
    }
    const nlink = links.get(node) ?? 1;
    if (nlink > 1) firstPaths.set(node, path);
    yield { kind: "node", path, nlink, meta: node.meta, node: dumpNode(node, path, algorithm) };
  }
}

function countLinks(root: Directory): Map<Leaf, number> {
  const links = new Map<Leaf, number>();
  const directories = [root];
  for (const directory of directories) {
    for (const child of directory.entries.values()) {
      if (child.kind === "directory") directories.push(child);
      else links.set(child, (links.get(child) ?? 0) + 1);
    }
  }
  return links;
}

function dumpNode(leaf: Leaf, path: ByteString, algorithm: VerityAlgorithm): DumpNode {
  return leaf.kind === "file" ? dumpContent(leaf.content, path, algorithm) : leaf;
}

function dumpContent(content: Content, path: ByteString, algorithm: VerityAlgorithm): DumpNode {
  if (content.kind !== "external") return content;
  const digest = content.digests[algorithm];
  if (digest === undefined) {
    const present = Object.keys(content.digests).join(", ") || "no";
    throw new PolicyError(
      "composefs.digest.missing",
      `"${showByteString(path)}": a dump needs the ${algorithm} fs-verity digest of the file, the tree has ${present}`,
      { data: { algorithm } },
    );
  }
  return { kind: "external", size: content.size, digest };
}
