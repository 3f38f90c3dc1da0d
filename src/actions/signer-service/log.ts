/** Lines of JSON for whoever runs the service. */
import { SealwrightError } from "../../lib/errors.ts";

export type LogLevel = "debug" | "info" | "error";

export type Facts = Readonly<Record<string, string | number | boolean | undefined>>;

export interface Log {
  debug(event: string, facts?: Facts): void;
  info(event: string, facts?: Facts): void;
  /** Something went wrong: cause code and sentence of a refusal, the stack of a fault. */
  fault(event: string, error: unknown, facts?: Facts): void;
}

export interface LogOptions {
  /** Also what is only of use when looking for a fault. */
  readonly verbose?: boolean;
  readonly now: () => Date;
}

/**
 * What an event says is chosen where it happens, and never holds headers, bodies, tokens or keys.
 *
 * @param write takes one line, with its end
 */
export function createLog(write: (line: string) => void, { now, verbose = false }: LogOptions): Log {
  const say = (level: LogLevel, event: string, facts: Facts): void =>
    write(`${JSON.stringify({ time: now().toISOString(), level, event, ...facts })}\n`);
  return {
    debug: (event, facts = {}) => (verbose ? say("debug", event, facts) : undefined),
    info: (event, facts = {}) => say("info", event, facts),
    fault: (event, error, facts = {}) => say("error", event, { ...facts, ...describe(error) }),
  };
}

function describe(error: unknown): Facts {
  if (error instanceof SealwrightError) return { code: error.code, message: chainOf(error).join(": ") };
  return { code: "internal", message: error instanceof Error ? (error.stack ?? error.message) : String(error) };
}

/** What happened, and what led to it. */
function chainOf(error: Error): string[] {
  return [error.message, ...(error.cause instanceof Error ? chainOf(error.cause) : [])];
}
