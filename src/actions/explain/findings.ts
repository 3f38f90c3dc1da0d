import { CAUSES, type CauseCode, type CauseText } from "./causes.ts";

/** The layer that brought a thing in. */
export interface LayerName {
  /** 0 is the lowest. */
  readonly index: number;
  readonly digest: string;
  /** The line of the image's history, which is the instruction that made the layer. */
  readonly createdBy?: string;
}

export interface Example {
  /** Absolute, for people. */
  readonly path: string;
  /** What differs: `mtime`, `mode`, the name of an extended attribute... */
  readonly field: string;
  /** Values of the two sides; absent where a side has none. */
  readonly a?: string;
  readonly b?: string;
  readonly layers?: { readonly a?: LayerName; readonly b?: LayerName };
  readonly note?: string;
}

export interface Cause extends CauseText {
  readonly code: CauseCode;
  /** Which of several things of one kind, such as a namespace of attributes. */
  readonly subject?: string;
  /** Differences, of which `examples` shows the first. */
  readonly count: number;
  readonly examples: readonly Example[];
}

interface Group {
  code: CauseCode;
  readonly subject: string | undefined;
  count: number;
  readonly examples: Example[];
}

/** Differences by cause: all are counted, a few of each are kept. */
export class Findings {
  readonly #groups = new Map<string, Group>();
  readonly #maxExamples: number;

  constructor(maxExamples: number) {
    this.#maxExamples = maxExamples;
  }

  /** @param example is made only when it is kept */
  add(code: CauseCode, example: () => Example, subject?: string): void {
    const key = `${code} ${subject ?? ""}`;
    const group = this.#groups.get(key) ?? { code, subject, count: 0, examples: [] };
    this.#groups.set(key, group);
    group.count++;
    if (group.examples.length < this.#maxExamples) group.examples.push(example());
  }

  /** Once all is seen, a group may turn out to have a deeper cause. */
  rename(from: CauseCode, to: CauseCode, isDeeper: (subject: string) => boolean): void {
    for (const group of this.#groups.values()) {
      if (group.code === from && isDeeper(group.subject ?? "")) group.code = to;
    }
  }

  /** In the order of {@link CAUSES}. */
  causes(): Cause[] {
    const order = Object.keys(CAUSES);
    return [...this.#groups.values()]
      .sort((a, b) => order.indexOf(a.code) - order.indexOf(b.code) || ((a.subject ?? "") < (b.subject ?? "") ? -1 : 1))
      .map(({ subject, ...group }) => ({
        ...group,
        ...CAUSES[group.code],
        ...(subject === undefined ? {} : { subject }),
      }));
  }
}
