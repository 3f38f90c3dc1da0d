import { UnsupportedError } from "../../lib/errors.ts";
import { isWordByte } from "./byte-set.ts";
import type { FileSpec } from "./file-contexts.ts";
import type { Assertion } from "./pattern.ts";
import type { Program, Step } from "./program.ts";

/** Steps times bytes that can be marked: 64 MiB. A safety limit; a pattern and a path of 1,000 each take a million. */
const MAX_PLACES = 1 << 24;

/**
 * The work that look-ahead patterns may still do, and the places they have been to, shared by all of a policy: marks of
 * one run are told from those of others by the run's number.
 */
export class LookWork {
  readonly #spend: () => void;
  #marks = new Uint32Array(1 << 12);
  #run = 0;

  /** @param spend called once a place; throws when the work is too much */
  constructor(spend: () => void) {
    this.#spend = spend;
  }

  startRun(): number {
    return ++this.#run;
  }

  /** Whether a run comes to a place for the first time. */
  visit(place: number, run: number): boolean {
    if (place >= this.#marks.length) this.#grow(place);
    if (this.#marks[place] === run) return false;
    this.#spend();
    this.#marks[place] = run;
    return true;
  }

  #grow(place: number): void {
    if (place >= MAX_PLACES) {
      throw new UnsupportedError("selinux.policy.too-costly", "file_contexts: look-ahead in too large a pattern", {
        hint: "write the counts of the pattern with look-ahead smaller",
      });
    }
    const grown = new Uint32Array(Math.min(MAX_PLACES, 2 * place));
    grown.set(this.#marks);
    this.#marks = grown;
  }
}

/**
 * Matches one spec that looks around.
 *
 * Goes through the program depth first, and in one run never twice to the same step at the same byte. That is enough
 * because nothing is captured, and bounds the work by steps times bytes, once more times bytes for each look-ahead
 * inside another. The steps of a look-ahead are not those of what it stands in, so runs can share their marks.
 */
export class LookMatcher {
  readonly index: number;
  readonly #steps: readonly Step[];
  /** The first step of this spec in the program: places are counted from it. */
  readonly #base: number;
  readonly #entry: number;
  readonly #work: LookWork;

  /** Adds the spec to the program. */
  constructor(program: Program, spec: FileSpec, index: number, work: LookWork) {
    this.index = index;
    this.#base = program.steps.length;
    this.#entry = program.add(spec, index);
    this.#steps = program.steps;
    this.#work = work;
  }

  matches(key: string): boolean {
    return this.#reaches(key, this.#entry, 0);
  }

  /** Whether a `match` step is reached from `entry` at byte `start`; that of the spec counts only at the end. */
  #reaches(key: string, entry: number, start: number): boolean {
    const width = key.length + 1;
    const run = this.#work.startRun();
    const place = (step: number, at: number) => (step - this.#base) * width + at;
    const open = [place(entry, start)];
    for (let here = open.pop(); here !== undefined; here = open.pop()) {
      if (!this.#work.visit(here, run)) continue;
      const at = here % width;
      const step = this.#steps[this.#base + (here - at) / width] as Step;
      if (step.op === "match") {
        if (step.spec < 0 || at === key.length) return true;
      } else if (step.op === "byte") {
        if (at < key.length && step.set[key.charCodeAt(at)] === 1) open.push(place(step.next, at + 1));
      } else if (step.op === "split") {
        open.push(place(step.other, at), place(step.next, at));
      } else if (step.op === "assert" ? holds(step.what, key, at) : this.#reaches(key, step.body, at) === step.wanted) {
        open.push(place(step.next, at));
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
