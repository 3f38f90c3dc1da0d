import type { ByteString } from "../../lib/bytes/byte-string.ts";
import { UnsupportedError } from "../../lib/errors.ts";
import type { ByteSet } from "./byte-set.ts";
import type { FileSpec, FileType } from "./file-contexts.ts";
import { LookMatcher, LookWork } from "./look-matcher.ts";
import { Program, type Step } from "./program.ts";

/**
 * Work one matcher may do, in steps of its programs. A safety limit against policies written to be slow: the reference
 * policy of Debian takes 2 million steps to label 150,000 paths, and the slowest patterns that were tried took
 * 17 seconds to come to the limit.
 */
const MAX_WORK = 500_000_000;

/** Numbers that are remembered, in transitions and states, before all are forgotten and met again: 64 MiB. */
const MAX_REMEMBERED = 1 << 24;

const UNKNOWN = -1;
const DEAD = 0;
const NO_SPEC = -1;

/**
 * Finds the last spec that matches a path and its file type.
 *
 * All specs run at once, as one automaton that is made deterministic where paths lead it (the way RE2 and the Rust
 * engine do it): a byte costs one look in a table, and no pattern can make it backtrack. Patterns that need to look
 * around are tried one by one, and only when they stand after the automaton's answer.
 */
export class SpecMatcher {
  readonly #specs: readonly FileSpec[];
  readonly #steps: readonly Step[];
  readonly #entries: readonly number[];
  readonly #lookers: readonly LookMatcher[];
  readonly #classOf: Uint8Array;
  readonly #sampleOf: readonly number[];
  readonly #visited: Uint32Array;
  readonly #maxWork: number;
  #visit = 0;
  #work = 0;

  /** By state: the `byte` steps it stands at, the last spec that ends here, and where each class of bytes leads. */
  #states: Int32Array[] = [];
  #accepts: number[] = [];
  #transitions = new Int32Array(0);
  #stateOf = new Map<string, number>();
  #start = DEAD;
  #remembered = 0;

  /** @param maxWork steps that this matcher may take in its life */
  constructor(specs: readonly FileSpec[], maxWork = MAX_WORK) {
    this.#maxWork = maxWork;
    const program = new Program();
    this.#specs = specs;
    this.#entries = specs.flatMap((spec, index) => (spec.contextual ? [] : [program.add(spec, index)]));
    const lookWork = new LookWork(() => this.#spend());
    this.#lookers = specs
      .flatMap((spec, index) => (spec.contextual ? [new LookMatcher(program, spec, index, lookWork)] : []))
      .reverse();
    this.#steps = program.steps;
    this.#visited = new Uint32Array(program.steps.length);
    ({ classOf: this.#classOf, sampleOf: this.#sampleOf } = byteClasses(program.steps));
    this.#forget();
  }

  /**
   * The last spec, in the order of the files, that matches.
   *
   * @throws {UnsupportedError} `selinux.policy.too-costly` when the policy is built to take forever
   */
  match(path: ByteString, type: FileType): FileSpec | undefined {
    const key = path + type;
    let last = this.#run(key);
    for (const looker of this.#lookers) {
      if (looker.index < last) break;
      if (looker.matches(key)) last = looker.index;
    }
    return last === NO_SPEC ? undefined : this.#specs[last];
  }

  #run(key: string): number {
    const width = this.#sampleOf.length;
    let state = this.#start;
    for (let at = 0; at < key.length; at++) {
      const byteClass = this.#classOf[key.charCodeAt(at)] as number;
      let next = this.#transitions[state * width + byteClass] as number;
      if (next === UNKNOWN) next = this.#follow(state, byteClass);
      if (next === DEAD) return NO_SPEC;
      state = next;
    }
    return this.#accepts[state] as number;
  }

  /** The state after one byte, made when it is new. */
  #follow(state: number, byteClass: number): number {
    const sample = this.#sampleOf[byteClass] as number;
    const entries: number[] = [];
    for (const at of this.#states[state] as Int32Array) {
      const step = this.#steps[at];
      if (step?.op === "byte" && step.set[sample] === 1) entries.push(step.next);
    }
    this.#spend((this.#states[state] as Int32Array).length);
    const generation = this.#stateOf;
    const next = this.#state(entries, false);
    // When everything was forgotten on the way, `state` names nothing any more.
    if (generation === this.#stateOf) this.#transitions[state * this.#sampleOf.length + byteClass] = next;
    return next;
  }

  #state(entries: readonly number[], atStart: boolean): number {
    const { positions, accept } = this.#closure(entries, atStart);
    const name = `${accept}:${Buffer.from(positions.buffer, 0, positions.byteLength).toString("latin1")}`;
    const known = this.#stateOf.get(name);
    if (known !== undefined) return known;
    // Positions are held twice: as numbers, and in the name.
    const size = this.#sampleOf.length + 2 * positions.length;
    if (this.#remembered + size > MAX_REMEMBERED) this.#forget();
    this.#remembered += size;
    return this.#addState(name, positions, accept);
  }

  #addState(name: string, positions: Int32Array, accept: number): number {
    const state = this.#states.length;
    const width = this.#sampleOf.length;
    if ((state + 1) * width > this.#transitions.length) {
      const grown = new Int32Array(Math.max(2 * this.#transitions.length, 64 * width)).fill(UNKNOWN);
      grown.set(this.#transitions);
      this.#transitions = grown;
    }
    this.#states.push(positions);
    this.#accepts.push(accept);
    this.#stateOf.set(name, state);
    return state;
  }

  #forget(): void {
    this.#states = [];
    this.#accepts = [];
    this.#transitions = new Int32Array(0);
    this.#stateOf = new Map();
    this.#remembered = 0;
    this.#addState(`${NO_SPEC}:`, new Int32Array(0), NO_SPEC); // DEAD
    const { positions, accept } = this.#closure(this.#entries, true);
    this.#start = positions.length === 0 ? DEAD : this.#addState("start", positions, accept);
  }

  /** Every `byte` step that can be reached without reading, sorted, and the last spec that is complete. */
  #closure(entries: readonly number[], atStart: boolean): { positions: Int32Array; accept: number } {
    const visit = ++this.#visit;
    const open = [...entries];
    const positions: number[] = [];
    let accept = NO_SPEC;
    let work = 0;
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      if (this.#visited[at] === visit) continue;
      this.#visited[at] = visit;
      work++;
      const step = this.#steps[at] as Step;
      if (step.op === "byte") positions.push(at);
      else if (step.op === "split") open.push(step.other, step.next);
      else if (step.op === "match") accept = Math.max(accept, step.spec);
      // The file type follows every pattern, so the end of the key is never before a step.
      else if (step.op === "assert" && step.what === "start" && atStart) open.push(step.next);
    }
    this.#spend(work);
    return { positions: Int32Array.from(positions).sort(), accept };
  }

  #spend(work = 1): void {
    this.#work += work;
    if (this.#work <= this.#maxWork) return;
    const message = `file_contexts: matching takes more than ${this.#maxWork} steps`;
    throw new UnsupportedError("selinux.policy.too-costly", message, {
      hint: "simplify the patterns with nested repetition",
    });
  }
}

/** Bytes that no step tells apart, so that a state has some 90 transitions and not 256. */
function byteClasses(steps: readonly Step[]): { classOf: Uint8Array; sampleOf: readonly number[] } {
  const sets = new Set<ByteSet>();
  for (const step of steps) if (step.op === "byte") sets.add(step.set);
  let classOf = new Uint8Array(256);
  for (const set of sets) {
    const classes = new Map<number, number>();
    classOf = classOf.map((byteClass, byte) => {
      const split = 2 * byteClass + (set[byte] as number);
      const known = classes.get(split) ?? classes.size;
      classes.set(split, known);
      return known;
    });
  }
  const sampleOf: number[] = [];
  for (const [byte, byteClass] of classOf.entries()) sampleOf[byteClass] ??= byte;
  return { classOf, sampleOf };
}
