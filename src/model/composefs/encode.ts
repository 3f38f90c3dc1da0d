import { emitErofs, encodeErofs, planErofs } from "../../formats/erofs/index.ts";
import { FsverityHasher } from "../../formats/fsverity/index.ts";
import type { Tree } from "../tree/tree.ts";
import type { ComposefsFormat } from "./format.ts";
import { listInodes } from "./inodes.ts";

/**
 * Writes the EROFS metadata image of a tree.
 *
 * @throws {FormatError} when the tree has something an image cannot hold; see `listInodes` and `planErofs`
 * @throws {PolicyError} `composefs.digest.missing`, `composefs.whiteout.hard-linked`
 */
export function encodeComposefsImage(tree: Tree, format: ComposefsFormat): Uint8Array {
  return encodeErofs(planErofs(listInodes(tree, format), format.version));
}

/**
 * Computes the digest of a tree: the fs-verity digest of its image, which is hashed as it is laid out and never held.
 *
 * @throws as `encodeComposefsImage`
 */
export function computeComposefsDigest(tree: Tree, format: ComposefsFormat): Uint8Array {
  const hasher = new FsverityHasher(format.algorithm);
  emitErofs(planErofs(listInodes(tree, format), format.version), (chunk) => hasher.update(chunk));
  return hasher.digest();
}
