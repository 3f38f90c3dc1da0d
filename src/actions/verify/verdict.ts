import { SealwrightError } from "../../lib/errors.ts";
import type { OsProblem } from "../../model/os/index.ts";

/** One link of the chain of trust, with what was found. */
export interface Link {
  /** Stable name, for machines. */
  readonly name: LinkName;
  readonly status: "holds" | "broken" | "warning" | "not-reached";
  /** What was proved, or why not. */
  readonly detail: string;
  /** Cause code of a broken link or a warning. */
  readonly code?: string;
  readonly hint?: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

/** The links in the order of trust, each with its title for people. */
export const LINKS = {
  blobs: "image",
  uki: "UKI",
  "uki-signature": "UKI signature",
  "command-line": "command line",
  digest: "digest",
  "boot-loader": "boot loader",
  certificate: "certificate",
} as const;

export type LinkName = keyof typeof LINKS;

export interface Verdict {
  readonly image: string;
  readonly manifestDigest?: string;
  /** True when no link is broken or unreached. */
  readonly holds: boolean;
  readonly links: readonly Link[];
  /** The exit status of the first broken link's family; 0 when the chain holds. */
  readonly exitCode: number;
}

/** Gathers links; one broken link never hides the others that can still be checked. */
export class VerdictBuilder {
  readonly #image: string;
  readonly #links: Link[] = [];
  #exitCode = 0;
  manifestDigest: string | undefined;

  constructor(image: string) {
    this.#image = image;
  }

  /** Runs a check; what it throws breaks the link, what it returns is the evidence for the next one. */
  async check<T>(name: LinkName, work: () => T | Promise<T>, describe: (proved: T) => string): Promise<T | undefined> {
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

  holds(name: LinkName, detail: string): void {
    this.#links.push({ name, status: "holds", detail });
  }

  broken(name: LinkName, error: SealwrightError): void {
    if (this.#exitCode === 0) this.#exitCode = error.exitCode;
    const hint = error.hint === undefined ? {} : { hint: error.hint };
    this.#links.push({ name, status: "broken", detail: error.message, code: error.code, data: error.data, ...hint });
  }

  warn(name: LinkName, { code, hint, message }: OsProblem): void {
    this.#links.push({ name, status: "warning", detail: message, code, ...(hint === undefined ? {} : { hint }) });
  }

  /** Links that nothing was said about could not be reached: a link before them is broken. */
  finish(): Verdict {
    const manifest = this.manifestDigest === undefined ? {} : { manifestDigest: this.manifestDigest };
    return {
      image: this.#image,
      ...manifest,
      holds: this.#exitCode === 0,
      links: Object.keys(LINKS).flatMap((name) => {
        const said = this.#links.filter((link) => link.name === name);
        return said.length > 0 ? said : [{ name, status: "not-reached", detail: "not reached" } as Link];
      }),
      exitCode: this.#exitCode,
    };
  }
}
