/** What a command may touch of the outside world. Tests pass their own. */
import type { StricliProcess } from "@stricli/core";
import type { Progress } from "../lib/progress.ts";

export interface Context {
  readonly process: StricliProcess;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborted by Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal;
  readonly progress: Progress;
  /** Ends the progress line, if one is drawn, so that results start on a line of their own. */
  endProgress(): void;
}
