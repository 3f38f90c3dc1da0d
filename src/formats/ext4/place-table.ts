import type { Extent, ExtentTree } from "./extents.ts";
import type { Place } from "./placement.ts";

/** Numbers of an extent: block in the file, place, count. */
const EXTENT_NUMBERS = 3;
type Numbers = readonly [block: number, start: number, count: number];

/** Places of many inodes in few bytes each: most have an extent or two. */
export class PlaceTable {
  #numbers = new Uint32Array(EXTENT_NUMBERS * 256);
  #used = 0;
  /** By index: where the extents start, and how many they are. */
  readonly #first: Uint32Array;
  readonly #counts: Uint32Array;
  /** Of the few that have them. */
  readonly #xattrBlocks = new Map<number, number>();
  readonly #trees = new Map<number, ExtentTree>();

  constructor(count: number) {
    this.#first = new Uint32Array(count);
    this.#counts = new Uint32Array(count);
  }

  set(index: number, { extents, tree, xattrBlock }: Place): void {
    this.#first[index] = this.#used;
    this.#counts[index] = extents.length;
    for (const { block, count, start } of extents) {
      if (this.#used === this.#numbers.length) this.#grow();
      this.#numbers.set([block, start, count], this.#used);
      this.#used += EXTENT_NUMBERS;
    }
    if (xattrBlock !== 0) this.#xattrBlocks.set(index, xattrBlock);
    if (tree.blocks.length > 0) this.#trees.set(index, tree);
  }

  get(index: number): Place {
    const first = this.#first[index] as number;
    const count = this.#counts[index] as number;
    const extents = Array.from({ length: count }, (_, i): Extent => {
      const at = first + i * EXTENT_NUMBERS;
      const [block, start, blocks] = this.#numbers.subarray(at, at + EXTENT_NUMBERS) as Uint32Array & Numbers;
      return { block, start, count: blocks };
    });
    const tree = this.#trees.get(index) ?? { root: extents, depth: 0, blocks: [] };
    const xattrBlock = this.#xattrBlocks.get(index) ?? 0;
    const data = extents.reduce((sum, extent) => sum + extent.count, 0);
    return { extents, tree, xattrBlock, blockCount: data + tree.blocks.length + (xattrBlock === 0 ? 0 : 1) };
  }

  #grow(): void {
    const numbers = new Uint32Array(2 * this.#numbers.length);
    numbers.set(this.#numbers);
    this.#numbers = numbers;
  }
}
