import { hash } from "node:crypto";
import { VERITY_ALGORITHMS, type VerityAlgorithm } from "./algorithm.ts";
import { hashBlocks, leavesSize } from "./hash-blocks.ts";
import { VERITY_BLOCK_SIZE, VERITY_DESCRIPTOR, VERITY_DESCRIPTOR_VERSION, VERITY_LOG_BLOCK_SIZE } from "./layout.ts";

/**
 * Computes the fs-verity digest that the kernel would measure for a file with these contents.
 *
 * Block size 4096, no salt. Holds the leaves: 1/128 (SHA-256) or 1/64 (SHA-512) of the size.
 */
export function computeFsverityDigest(bytes: Uint8Array, algorithm: VerityAlgorithm): Uint8Array {
  const leaves = new Uint8Array(leavesSize(bytes.length, algorithm));
  hashBlocks(bytes, algorithm, leaves, 0);
  return digestFromLeaves(leaves, bytes.length, algorithm);
}

/**
 * Completes a digest from block hashes that were computed elsewhere.
 *
 * @param leaves hashes of the data blocks, side by side
 * @param size bytes of data
 * @throws {RangeError} when the number of leaves does not fit `size`
 */
export function digestFromLeaves(leaves: Uint8Array, size: bigint | number, algorithm: VerityAlgorithm): Uint8Array {
  const expected = leavesSize(Number(size), algorithm);
  if (leaves.length !== expected) {
    throw new RangeError(`${leaves.length} bytes of leaves for ${size} bytes of data, expected ${expected}`);
  }
  return digestOfRoot(computeRootHash(leaves, algorithm), size, algorithm);
}

/** As `buildMerkleTree`, for who wants no levels: most files have one leaf or a block of them, and nothing is copied. */
function computeRootHash(leaves: Uint8Array, algorithm: VerityAlgorithm): Uint8Array {
  const { digestSize } = VERITY_ALGORITHMS[algorithm];
  if (leaves.length === 0) return new Uint8Array(digestSize);
  let hashes = leaves;
  while (hashes.length > digestSize) {
    const above = new Uint8Array(leavesSize(hashes.length, algorithm));
    hashBlocks(hashes, algorithm, above, 0);
    hashes = above;
  }
  return hashes;
}

/** The 256 bytes whose hash is the fs-verity digest. */
export function encodeDescriptor(size: bigint | number, rootHash: Uint8Array, algorithm: VerityAlgorithm): Uint8Array {
  const field = VERITY_DESCRIPTOR;
  const descriptor = new Uint8Array(field.size);
  descriptor[field.version] = VERITY_DESCRIPTOR_VERSION;
  descriptor[field.hashAlgorithm] = VERITY_ALGORITHMS[algorithm].id;
  descriptor[field.logBlockSize] = VERITY_LOG_BLOCK_SIZE;
  new DataView(descriptor.buffer).setBigUint64(field.dataSize, BigInt(size), true);
  descriptor.set(rootHash, field.rootHash);
  return descriptor;
}

function digestOfRoot(rootHash: Uint8Array, size: bigint | number, algorithm: VerityAlgorithm): Uint8Array {
  return hash(algorithm, encodeDescriptor(size, rootHash, algorithm), "buffer");
}

/** The open block of one tree level, and how many hashes the level has seen. */
interface Level {
  readonly block: Uint8Array;
  fill: number;
  count: number;
}

/** The fs-verity digest of a stream: one block of memory a tree level. */
export class FsverityHasher {
  readonly #algorithm: VerityAlgorithm;
  readonly #digestSize: number;
  readonly #data = new Uint8Array(VERITY_BLOCK_SIZE);
  readonly #levels: Level[] = [];
  #fill = 0;
  #size = 0;

  constructor(algorithm: VerityAlgorithm) {
    this.#algorithm = algorithm;
    this.#digestSize = VERITY_ALGORITHMS[algorithm].digestSize;
  }

  /** Bytes taken so far. */
  get size(): number {
    return this.#size;
  }

  update(chunk: Uint8Array): this {
    this.#size += chunk.length;
    let at = 0;
    if (this.#fill > 0) {
      at = Math.min(VERITY_BLOCK_SIZE - this.#fill, chunk.length);
      this.#data.set(chunk.subarray(0, at), this.#fill);
      this.#fill += at;
      if (this.#fill < VERITY_BLOCK_SIZE) return this;
      this.#push(0, this.#data);
      this.#fill = 0;
    }
    const whole = chunk.length - ((chunk.length - at) % VERITY_BLOCK_SIZE);
    while (at < whole) {
      const end = Math.min(whole, at + this.#room(0) * VERITY_BLOCK_SIZE);
      this.#push(0, chunk.subarray(at, end));
      at = end;
    }
    this.#data.set(chunk.subarray(at));
    this.#fill = chunk.length - at;
    return this;
  }

  /** The digest of everything taken. The hasher is spent afterwards. */
  digest(): Uint8Array {
    if (this.#fill > 0) this.#push(0, this.#data.subarray(0, this.#fill));
    return digestOfRoot(this.#rootHash(), this.#size, this.#algorithm);
  }

  #rootHash(): Uint8Array {
    for (let index = 0; index < this.#levels.length; index++) {
      const level = this.#levels[index] as Level;
      if (level.count === 1) return level.block.subarray(0, this.#digestSize);
      if (level.fill > 0) this.#push(index + 1, level.block.subarray(0, level.fill));
    }
    return new Uint8Array(this.#digestSize);
  }

  /** Hashes that still fit into the open block of a level; never 0, since a full block moves up at once. */
  #room(index: number): number {
    return (VERITY_BLOCK_SIZE - (this.#levels[index]?.fill ?? 0)) / this.#digestSize;
  }

  #push(index: number, blocks: Uint8Array): void {
    const level = (this.#levels[index] ??= { block: new Uint8Array(VERITY_BLOCK_SIZE), fill: 0, count: 0 });
    const added = hashBlocks(blocks, this.#algorithm, level.block, level.fill);
    level.fill += added;
    level.count += added / this.#digestSize;
    if (level.fill < VERITY_BLOCK_SIZE) return;
    this.#push(index + 1, level.block);
    level.fill = 0;
  }
}
