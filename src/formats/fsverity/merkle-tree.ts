import { alignUp } from "../../lib/bytes/numbers.ts";
import { VERITY_ALGORITHMS, type VerityAlgorithm } from "./algorithm.ts";
import { hashBlocks, leavesSize } from "./hash-blocks.ts";
import { VERITY_BLOCK_SIZE } from "./layout.ts";

export interface MerkleTree {
  readonly rootHash: Uint8Array;
  /** Blocks of hashes, the level below the root hash first, each level a multiple of 4096 bytes; the last holds the leaves. */
  readonly levels: readonly Uint8Array[];
}

/**
 * Builds the Merkle tree over the block hashes of some data.
 *
 * No data gives a root hash of zeros, one block gives its own hash: neither has a level.
 *
 * @param leaves hashes of the data blocks, side by side
 * @throws {RangeError} when `leaves` is no whole number of hashes
 * @see Linux Documentation/filesystems/fsverity.rst, "Merkle tree"
 */
export function buildMerkleTree(leaves: Uint8Array, algorithm: VerityAlgorithm): MerkleTree {
  const { digestSize } = VERITY_ALGORITHMS[algorithm];
  if (leaves.length % digestSize !== 0) {
    throw new RangeError(`${leaves.length} bytes of leaves are no whole number of ${digestSize}-byte hashes`);
  }
  if (leaves.length === 0) return { rootHash: new Uint8Array(digestSize), levels: [] };
  const levels: Uint8Array[] = [];
  let hashes = leaves;
  while (hashes.length > digestSize) {
    const level = new Uint8Array(alignUp(hashes.length, VERITY_BLOCK_SIZE));
    level.set(hashes);
    levels.push(level);
    hashes = new Uint8Array(leavesSize(level.length, algorithm));
    hashBlocks(level, algorithm, hashes, 0);
  }
  return { rootHash: hashes, levels: levels.reverse() };
}
