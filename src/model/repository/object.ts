import { hash } from "node:crypto";
import {
  buildMerkleTree,
  encodeDescriptor,
  hashBlocks,
  leavesSize,
  VERITY_ALGORITHMS,
  VERITY_BLOCK_SIZE,
  type VerityAlgorithm,
} from "../../formats/fsverity/index.ts";
import { VerificationError } from "../../lib/errors.ts";

/** Bytes of the Merkle tree of `size` bytes, every level in whole blocks. */
export function merkleTreeSize(size: number, algorithm: VerityAlgorithm): number {
  let total = 0;
  for (let blocks = Math.ceil(size / VERITY_BLOCK_SIZE); blocks > 1; ) {
    const level = Math.ceil((blocks * VERITY_ALGORITHMS[algorithm].digestSize) / VERITY_BLOCK_SIZE);
    total += level * VERITY_BLOCK_SIZE;
    blocks = level;
  }
  return total;
}

interface Common {
  /** fs-verity digest, lower-case hex. */
  readonly hex: string;
  readonly size: number;
  /** Of its Merkle tree. */
  readonly treeSize: number;
}

/** What fs-verity stores beside a file. */
export interface Verity {
  /** The root's level first, every level in whole blocks. */
  readonly tree: Uint8Array;
  /** Of the tree: 256 bytes. */
  readonly descriptor: Uint8Array;
}

/** An object whose bytes are held. */
export interface MemoryObject extends Common {
  readonly kind: "memory";
  readonly bytes: Uint8Array;
  readonly verity: Verity;
}

export type RepositoryObject = MemoryObject | LayerObject;

export function memoryObject(bytes: Uint8Array, algorithm: VerityAlgorithm): MemoryObject {
  const leaves = new Uint8Array(leavesSize(bytes.length, algorithm));
  hashBlocks(bytes, algorithm, leaves, 0);
  const verity = completeTree(leaves, bytes.length, algorithm);
  const hex = hash(algorithm, verity.descriptor, "hex");
  return { kind: "memory", hex, size: bytes.length, treeSize: verity.tree.length, bytes, verity };
}

function completeTree(leaves: Uint8Array, size: number, algorithm: VerityAlgorithm): Verity {
  const { levels, rootHash } = buildMerkleTree(leaves, algorithm);
  return { tree: Buffer.concat(levels), descriptor: encodeDescriptor(size, rootHash, algorithm) };
}

/** An object whose bytes are in a layer, and whose Merkle tree comes to be while they are read. */
export class LayerObject implements Common {
  readonly kind = "layer";
  readonly hex: string;
  readonly size: number;
  readonly treeSize: number;
  /** Index of the layer. */
  readonly layer: number;
  /** Of the bytes, in the uncompressed tar. */
  readonly offset: number;
  readonly #algorithm: VerityAlgorithm;
  #leaves: Uint8Array | undefined;
  #hashed = 0;

  constructor(
    hex: string,
    place: { readonly layer: number; readonly offset: number; readonly size: number },
    algorithm: VerityAlgorithm,
  ) {
    this.hex = hex;
    this.size = place.size;
    this.treeSize = merkleTreeSize(place.size, algorithm);
    this.layer = place.layer;
    this.offset = place.offset;
    this.#algorithm = algorithm;
  }

  /**
   * Takes the hashes of some blocks; in any order.
   *
   * @param at offset of the first block in the object
   * @param size bytes that were hashed
   * @returns what fs-verity stores, once the last hashes are in
   * @throws {VerificationError} `content.digest-mismatch`
   */
  addLeaves(leaves: Uint8Array, at: number, size: number): Verity | undefined {
    this.#leaves ??= new Uint8Array(leavesSize(this.size, this.#algorithm));
    this.#leaves.set(leaves, leavesSize(at, this.#algorithm));
    this.#hashed += size;
    if (this.#hashed < this.size) return undefined;
    const verity = completeTree(this.#leaves, this.size, this.#algorithm);
    this.#leaves = undefined;
    const found = hash(this.#algorithm, verity.descriptor, "hex");
    if (found !== this.hex) {
      throw new VerificationError(
        "content.digest-mismatch",
        `layer ${this.layer}, content at byte ${this.offset}: found fs-verity digest ${found}, expected ${this.hex}`,
      );
    }
    return verity;
  }
}
