/**
 * Composefs: a tree as an EROFS metadata image, whose fs-verity digest is the digest of the tree.
 *
 *     dump -> tree -> inodes -> image -> digest
 *               ^-----------------'
 */
export { dumpTree } from "./dump-tree.ts";
export { computeComposefsDigest, encodeComposefsImage } from "./encode.ts";
export { COMPOSEFS_FORMATS, type ComposefsFormat, DEFAULT_COMPOSEFS_FORMAT, parseComposefsFormat } from "./format.ts";
export { treeFromDump } from "./tree-from-dump.ts";
export { treeFromErofs } from "./tree-from-erofs.ts";
