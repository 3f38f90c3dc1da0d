import { SealwrightError } from "../../lib/errors.ts";
import type { OsProblem } from "../os/index.ts";

/** One link of the chain of trust, with what was found. */
export interface Link<Name extends string = string> {
  /** Stable name, for machines. */
  readonly name: Name;
  readonly status: "holds" | "broken" | "warning" | "not-reached";
  /** What was proved, or why not. */
  readonly detail: string;
  /** Cause code of a broken link or a warning. */
  readonly code?: string;
  readonly hint?: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

/** The links in the order of trust, each with its title for people. */
export type LinkTitles<Name extends string = string> = Readonly<Record<Name, string>>;

export interface ChainVerdict<Name extends string = string> {
  /** True when no link is broken or unreached. */
  readonly holds: boolean;
  readonly links: readonly Link<Name>[];
  /** The exit status of the first broken link's family; 0 when the chain holds. */
  readonly exitCode: number;
}

/** Gathers links; one broken link never hides the others that can still be checked. */
export class VerdictBuilder<Name extends string> {
  readonly #titles: LinkTitles<Name>;
  readonly #links: Link<Name>[] = [];
  #exitCode = 0;

  constructor(titles: LinkTitles<Name>) {
    this.#titles = titles;
  }

  /** Runs a check; what it throws breaks the link, what it returns is the evidence for the next one. */
  async check<T>(name: Name, work: () => T | Promise<T>, describe: (proved: T) => string): Promise<T | undefined> {
    try {
      const proved = await work();
      this.holds(name, describe(proved));
      return proved;
    } catch (error) {
      if (!(error instanceof SealwrightError) || error.code === "interrupted") throw error;
      this.broken(name, error);
      return undefined;
    }
  }

  holds(name: Name, detail: string): void {
    this.#links.push({ name, status: "holds", detail });
  }

  broken(name: Name, error: SealwrightError): void {
    if (this.#exitCode === 0) this.#exitCode = error.exitCode;
    const hint = error.hint === undefined ? {} : { hint: error.hint };
    this.#links.push({ name, status: "broken", detail: error.message, code: error.code, data: error.data, ...hint });
  }

  warn(name: Name, { code, hint, message }: OsProblem): void {
    this.#links.push({ name, status: "warning", detail: message, code, ...(hint === undefined ? {} : { hint }) });
  }

  /** Links that nothing was said about could not be reached: a link before them is broken. */
  finish(): ChainVerdict<Name> {
    return {
      holds: this.#exitCode === 0,
      links: (Object.keys(this.#titles) as Name[]).flatMap((name) => {
        const said = this.#links.filter((link) => link.name === name);
        return said.length > 0 ? said : [{ name, status: "not-reached" as const, detail: "not reached" }];
      }),
      exitCode: this.#exitCode,
    };
  }
}
