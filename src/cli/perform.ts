import type { Context } from "./context.ts";
import { exitCodeOf, failureJson, failureText } from "./failure.ts";

/** What a command shows: the same facts for people and for machines. */
export interface Shown {
  readonly text: string;
  /** Written in place of the text, as they are. */
  readonly bytes?: Iterable<Uint8Array>;
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
    if (!json && shown.bytes !== undefined) await writeBytes(context.process.stdout, shown.bytes);
    else context.process.stdout.write(json ? `${JSON.stringify(shown.json, undefined, 2)}\n` : withNewline(shown.text));
    context.process.exitCode = shown.exitCode ?? 0;
  } catch (error) {
    context.endProgress();
    context.process.stderr.write(`${failureText(error)}\n`);
    if (json) context.process.stdout.write(`${JSON.stringify(failureJson(error), undefined, 2)}\n`);
    context.process.exitCode = exitCodeOf(error);
  }
}

/** Standard output takes bytes, whatever the CLI library's type says; waiting for it bounds what is held. */
async function writeBytes(stdout: Context["process"]["stdout"], bytes: Iterable<Uint8Array>): Promise<void> {
  const stream = stdout as unknown as { write(chunk: Uint8Array, written: () => void): void };
  for (const chunk of bytes) await new Promise<void>((resolve) => stream.write(chunk, resolve));
}

function withNewline(text: string): string {
  return text === "" || text.endsWith("\n") ? text : `${text}\n`;
}
