import { UnsupportedError } from "../../lib/errors.ts";
import { ALL_BUT_NEWLINE, ALL_BUT_NUL, type ByteSet, literal } from "./byte-set.ts";
import type { FileSpec } from "./file-contexts.ts";
import type { Assertion, Pattern } from "./pattern.ts";

/** One step of a matcher; steps are named by their number in the program. */
export type Step =
  | { readonly op: "byte"; readonly set: ByteSet; readonly next: number }
  | { op: "split"; next: number; readonly other: number }
  | { readonly op: "assert"; readonly what: Assertion; readonly next: number }
  | { readonly op: "look"; readonly wanted: boolean; readonly body: number; readonly next: number }
  /** `spec` is the spec that matched, or -1 at the end of a look-ahead. */
  | { readonly op: "match"; readonly spec: number };

/** Steps of a program, with counts written out. A safety limit; the reference policy of Debian has 130,000. */
const MAX_STEPS = 2_000_000;

/**
 * Thompson's construction, back to front: every piece is made knowing what comes after it.
 *
 * @see Ken Thompson, "Regular expression search algorithm", CACM 11(6), 1968
 */
export class Program {
  readonly steps: Step[] = [];

  /** Adds a spec, the byte of its file type included; gives the step that it starts with. */
  add(spec: FileSpec, index: number): number {
    const { pattern, look, type } = spec;
    const dot = look ? ALL_BUT_NEWLINE : ALL_BUT_NUL;

    const push = (step: Step): number => {
      if (this.steps.length < MAX_STEPS) return this.steps.push(step) - 1;
      const place = `${spec.file} line ${spec.line}`;
      throw new UnsupportedError("selinux.policy.too-large", `${place}: the patterns take over ${MAX_STEPS} steps`);
    };

    const emit = (node: Pattern, next: number): number => {
      switch (node.kind) {
        case "byte":
          return push({ op: "byte", set: node.set, next });
        case "dot":
          return push({ op: "byte", set: dot, next });
        case "sequence":
          return node.parts.reduceRight((after, part) => emit(part, after), next);
        case "choice":
          return node.options
            .map((option) => emit(option, next))
            .reduceRight((other, entry) => push({ op: "split", next: entry, other }));
        case "repeat":
          return emitRepeat(node.body, node.min, node.max, next);
        case "assert":
          return push({ op: "assert", what: node.what, next });
        case "look":
          return push({
            op: "look",
            wanted: node.wanted,
            body: emit(node.body, push({ op: "match", spec: -1 })),
            next,
          });
        default:
          return node satisfies never;
      }
    };

    const emitRepeat = (body: Pattern, min: number, max: number, next: number): number => {
      let entry = next;
      if (max === Number.POSITIVE_INFINITY) {
        const loop = { op: "split" as const, next: -1, other: next };
        entry = push(loop);
        loop.next = emit(body, entry);
      } else {
        for (let count = min; count < max; count++) entry = push({ op: "split", next: emit(body, entry), other: next });
      }
      for (let count = 0; count < min; count++) entry = emit(body, entry);
      return entry;
    };

    const end = push({ op: "match", spec: index });
    const typeByte = push({ op: "byte", set: type === undefined ? dot : literal(type.charCodeAt(0)), next: end });
    return emit(pattern, typeByte);
  }
}
