import type { LintContext } from "./context.ts";

/** `fatal`: the image will not install or boot, or not as what it seems. `warning`: it most likely wants mending. */
export type LintLevel = "fatal" | "warning";

/** Whether the linted root is that of the machine it runs on. */
export type RootType = "running" | "alternative";

/** What a lint has found. */
export interface Finding {
  /** Stable cause code. */
  readonly code: string;
  /** One sentence without a full stop. */
  readonly message: string;
  /** What it is about, one for each case; those that the message does not name are listed under it. */
  readonly paths?: readonly string[];
}

export interface Lint {
  /** Those of bootc have its names. */
  readonly name: string;
  readonly level: LintLevel;
  readonly description: string;
  /** Absent: any root. */
  readonly rootType?: RootType;
  /** Looks at every node; such lints come last, as in bootc. */
  readonly recursive?: boolean;
  /** @throws {SealwrightError} which is then the finding */
  readonly check: (context: LintContext) => Finding | undefined | Promise<Finding | undefined>;
}

/** The finding of a list of paths; none when it is empty. */
export function findingOf(code: string, message: string, paths: readonly string[]): Finding | undefined {
  return paths.length === 0 ? undefined : { code, message, paths };
}
