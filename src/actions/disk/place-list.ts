import type { ContentPiece } from "../../lib/bytes/piece.ts";
import type { LayerObject } from "../../model/repository/index.ts";

/** Where a content goes: everywhere that something of it is stored. */
export type Places = readonly Pick<ContentPiece<unknown>, "offset" | "from" | "size">[];

/** Numbers of a place: offset, from, size, and the place of the same object before it. */
const PLACE_NUMBERS = 4;
const NONE = -1;

/** Places of many objects in few bytes each. */
export class PlaceList {
  /** The last place of each object, as an index into the numbers. */
  readonly #last = new Map<LayerObject, number>();
  #numbers = new Float64Array(PLACE_NUMBERS * 256);
  #used = 0;

  add(object: LayerObject, { from, offset, size }: Places[number]): void {
    if (this.#used === this.#numbers.length) {
      const numbers = new Float64Array(2 * this.#numbers.length);
      numbers.set(this.#numbers);
      this.#numbers = numbers;
    }
    this.#numbers.set([offset, from, size, this.#last.get(object) ?? NONE], this.#used);
    this.#last.set(object, this.#used);
    this.#used += PLACE_NUMBERS;
  }

  keys(): Iterable<LayerObject> {
    return this.#last.keys();
  }

  get(object: LayerObject): Places {
    const places: Places[number][] = [];
    for (let at = this.#last.get(object) ?? NONE; at !== NONE; ) {
      const [offset, from, size, before] = this.#numbers.subarray(at, at + PLACE_NUMBERS) as Float64Array &
        readonly [number, number, number, number];
      places.push({ offset, from, size });
      at = before;
    }
    return places;
  }
}
