/**
 * fs-verity digests: what the kernel measures for a file whose reads it verifies.
 *
 * Block size 4096, no salt, no built-in signature; SHA-256 or SHA-512.
 *
 *     data        | 4096 | 4096 | 4096 | .. zero-filled |
 *     leaves        hash   hash   hash   hash             packed into blocks, hashed again, until one is left:
 *     root hash     hash
 *     descriptor  { version 1, algorithm, 2^12, size of the data, root hash }, 256 bytes
 *     digest        hash of the descriptor
 *
 * Not supported: other block sizes, salts.
 *
 * @see Linux Documentation/filesystems/fsverity.rst
 */
export { VERITY_ALGORITHMS, type VerityAlgorithm } from "./algorithm.ts";
export { computeFsverityDigest, digestFromLeaves, encodeDescriptor, FsverityHasher } from "./digest.ts";
export { hashBlocks, leavesSize } from "./hash-blocks.ts";
export { VERITY_BLOCK_SIZE } from "./layout.ts";
export { buildMerkleTree, type MerkleTree } from "./merkle-tree.ts";
