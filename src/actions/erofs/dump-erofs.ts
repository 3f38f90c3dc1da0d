/** A composefs image as a composefs dumpfile. */
import type { VerityAlgorithm } from "../../formats/fsverity/index.ts";
import { dumpTree, treeFromErofs } from "../../model/composefs/index.ts";
import type { Tree } from "../../model/tree/tree.ts";
import { nodesOf } from "../../model/tree/walk.ts";
import { loadErofs } from "./open-image.ts";

/**
 * @returns the dump in pieces
 * @throws {FormatError} `erofs.*`; `composefs.image.*` when the image is none of composefs
 */
export async function dumpErofs(file: string): Promise<Iterable<Uint8Array>> {
  const { bytes } = await loadErofs(file);
  const tree = treeFromErofs(bytes);
  return dumpTree(tree, algorithmOf(tree));
}

/** The one that the image's files have digests of; without such files it does not matter. */
function algorithmOf(tree: Tree): VerityAlgorithm {
  for (const node of nodesOf(tree.root)) {
    if (node.kind === "file" && node.content.kind === "external") {
      return node.content.digests.sha512 === undefined ? "sha256" : "sha512";
    }
  }
  return "sha512";
}
