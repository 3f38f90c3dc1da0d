/** Neighbouring blocks. */
export interface Run {
  readonly start: number;
  readonly count: number;
}

/** Sorts runs and joins neighbours; they must not overlap. */
export function joinRuns(runs: readonly Run[]): Run[] {
  const joined: { start: number; count: number }[] = [];
  for (const run of [...runs].sort((a, b) => a.start - b.start)) {
    const last = joined.at(-1);
    if (last !== undefined && last.start + last.count === run.start) last.count += run.count;
    else joined.push({ ...run });
  }
  return joined;
}

/**
 * Hands out the blocks between fixed runs from the lowest upwards, so that every block below `cursor` is in use.
 *
 * Runs out without throwing: `missing` then counts the blocks that were not there, which is what a minimal size is
 * found by.
 */
export class RunAllocator {
  readonly #fixed: readonly Run[];
  readonly #end: number;
  #nextFixed = 0;
  cursor = 0;
  missing = 0;

  /** @param fixed runs in use, as `joinRuns` gives them */
  constructor(fixed: readonly Run[], blockCount: number) {
    this.#fixed = fixed;
    this.#end = blockCount;
    this.#skipFixed();
  }

  /** @returns as few runs as the gaps allow, in ascending order */
  take(count: number): Run[] {
    const runs: Run[] = [];
    let left = count;
    while (left > 0) {
      const gapEnd = this.#fixed[this.#nextFixed]?.start ?? this.#end;
      const size = Math.min(left, gapEnd - this.cursor);
      if (size <= 0) {
        this.missing += left;
        break;
      }
      runs.push({ start: this.cursor, count: size });
      this.cursor += size;
      left -= size;
      this.#skipFixed();
    }
    return runs;
  }

  #skipFixed(): void {
    let next = this.#fixed[this.#nextFixed];
    while (next !== undefined && next.start === this.cursor) {
      this.cursor += next.count;
      next = this.#fixed[++this.#nextFixed];
    }
  }
}
