import { hash } from "node:crypto";
import {
  encodeDescriptor,
  hashBlocks,
  VERITY_ALGORITHMS,
  VERITY_BLOCK_SIZE,
  type VerityAlgorithm,
} from "../../formats/fsverity/index.ts";

/**
 * Completes the fs-verity digest of a large content from leaves that come in order, a few at a time. Holds one block a
 * tree level: a full block of hashes moves up as one hash.
 */
export class LeafCollector {
  readonly #algorithm: VerityAlgorithm;
  readonly #block = new Uint8Array(VERITY_BLOCK_SIZE);
  #fill = 0;
  #levelAbove: LeafCollector | undefined;

  constructor(algorithm: VerityAlgorithm) {
    this.#algorithm = algorithm;
  }

  add(leaves: Uint8Array): void {
    for (let at = 0; at < leaves.length; ) {
      if (this.#fill === VERITY_BLOCK_SIZE) this.#moveUp();
      const part = leaves.subarray(at, at + VERITY_BLOCK_SIZE - this.#fill);
      this.#block.set(part, this.#fill);
      this.#fill += part.length;
      at += part.length;
    }
  }

  /**
   * The digest of everything added; the collector is spent afterwards.
   *
   * @param size bytes of data
   */
  digest(size: number): Uint8Array {
    return hash(this.#algorithm, encodeDescriptor(size, this.#rootHash(), this.#algorithm), "buffer");
  }

  #rootHash(): Uint8Array {
    const { digestSize } = VERITY_ALGORITHMS[this.#algorithm];
    if (this.#levelAbove === undefined && this.#fill <= digestSize) return this.#block.subarray(0, digestSize);
    return this.#moveUp().#rootHash();
  }

  #moveUp(): LeafCollector {
    const above = (this.#levelAbove ??= new LeafCollector(this.#algorithm));
    const folded = new Uint8Array(VERITY_ALGORITHMS[this.#algorithm].digestSize);
    hashBlocks(this.#block.subarray(0, this.#fill), this.#algorithm, folded, 0);
    above.add(folded);
    this.#fill = 0;
    return above;
  }
}
