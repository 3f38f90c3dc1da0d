import { isWordByte } from "./byte-set.ts";
import type { FileSpec } from "./file-contexts.ts";
import type { Assertion } from "./pattern.ts";
import { Program, type Step } from "./program.ts";

/**
 * Matches one spec that looks around.
 *
 * Goes through the program depth first and never twice to the same step at the same byte. That is enough because
 * nothing is captured, and bounds the work by steps times bytes, once more times bytes for each look-ahead inside
 * another.
 */
export class LookMatcher {
  readonly index: number;
  readonly #steps: readonly Step[];
  readonly #entry: number;
  readonly #spend: () => void;

  /** @param spend called once a step; throws when the work is too much */
  constructor(spec: FileSpec, index: number, spend: () => void) {
    const program = new Program();
    this.index = index;
    this.#entry = program.add(spec, index);
    this.#steps = program.steps;
    this.#spend = spend;
  }

  matches(key: string): boolean {
    return this.#reaches(key, this.#entry, 0, key.length);
  }

  /** Whether a `match` step is reached from `entry` at byte `start`; at `end` exactly, when that is given. */
  #reaches(key: string, entry: number, start: number, end?: number): boolean {
    const width = key.length + 1;
    const seen = new Set<number>();
    const open = [entry * width + start];
    for (let place = open.pop(); place !== undefined; place = open.pop()) {
      if (seen.has(place)) continue;
      seen.add(place);
      this.#spend();
      const at = place % width;
      const step = this.#steps[(place - at) / width] as Step;
      if (step.op === "match") {
        if (end === undefined || at === end) return true;
      } else if (step.op === "byte") {
        if (at < key.length && step.set[key.charCodeAt(at)] === 1) open.push(step.next * width + at + 1);
      } else if (step.op === "split") {
        open.push(step.other * width + at, step.next * width + at);
      } else if (step.op === "assert" ? holds(step.what, key, at) : this.#reaches(key, step.body, at) === step.wanted) {
        open.push(step.next * width + at);
      }
    }
    return false;
  }
}

function holds(assertion: Assertion, key: string, at: number): boolean {
  if (assertion === "start") return at === 0;
  if (assertion === "end") return at === key.length;
  const boundary = isWordAt(key, at - 1) !== isWordAt(key, at);
  return boundary === (assertion === "word");
}

const isWordAt = (key: string, at: number): boolean => at >= 0 && at < key.length && isWordByte(key.charCodeAt(at));
