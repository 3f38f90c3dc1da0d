/** How a refusal is told: one sentence, at most one hint, the cause code; the same facts as JSON. */
import { SealwrightError } from "../lib/errors.ts";

/** EX_SOFTWARE of sysexits.h: a bug, not a refusal. */
const EXIT_BUG = 70;

/** The command line itself was not understood (EX_USAGE). */
export const EXIT_USAGE = 64;

export function exitCodeOf(error: unknown): number {
  return error instanceof SealwrightError ? error.exitCode : EXIT_BUG;
}

export function failureText(error: unknown): string {
  if (!(error instanceof SealwrightError)) {
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return `sealwright: internal error (please report): ${detail}`;
  }
  const lines = [`sealwright: ${messageChain(error)}`, `cause: ${error.code}`];
  const hint = firstHint(error);
  if (hint !== undefined) lines.push(`hint: ${hint}`);
  return lines.join("\n");
}

export function failureJson(error: unknown): unknown {
  if (!(error instanceof SealwrightError)) {
    return { error: { code: "internal", message: error instanceof Error ? error.message : String(error) } };
  }
  const hint = firstHint(error);
  return {
    error: {
      code: error.code,
      message: messageChain(error),
      ...(hint === undefined ? {} : { hint }),
      data: error.data,
    },
  };
}

function messageChain(error: Error): string {
  const messages = [error.message];
  for (let cause = error.cause; cause instanceof Error; cause = cause.cause) {
    if (!messages.at(-1)?.includes(cause.message)) messages.push(cause.message);
  }
  return messages.join(": ");
}

function firstHint(error: Error): string | undefined {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    if (at instanceof SealwrightError && at.hint !== undefined) return at.hint;
  }
  return undefined;
}
