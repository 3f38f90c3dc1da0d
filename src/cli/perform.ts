import type { Context } from "./context.ts";
import { exitCodeOf, failureJson, failureText } from "./failure.ts";

/** What a command shows: the same facts for people and for machines. */
export interface Shown {
  readonly text: string;
  readonly json: unknown;
  /** When the work was done but its verdict is a refusal. */
  readonly exitCode?: number;
}

/**
 * Runs a command's work and shows its outcome: text or, with `--json`, one JSON document on standard output.
 * A refusal goes to standard error in words and, with `--json`, to standard output as `{"error": ...}`.
 */
export async function perform(context: Context, json: boolean, work: () => Promise<Shown>): Promise<void> {
  try {
    const shown = await work();
    context.endProgress();
    context.process.stdout.write(json ? `${JSON.stringify(shown.json, undefined, 2)}\n` : withNewline(shown.text));
    context.process.exitCode = shown.exitCode ?? 0;
  } catch (error) {
    context.endProgress();
    context.process.stderr.write(`${failureText(error)}\n`);
    if (json) context.process.stdout.write(`${JSON.stringify(failureJson(error), undefined, 2)}\n`);
    context.process.exitCode = exitCodeOf(error);
  }
}

function withNewline(text: string): string {
  return text === "" || text.endsWith("\n") ? text : `${text}\n`;
}
