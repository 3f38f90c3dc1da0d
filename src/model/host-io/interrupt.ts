import { InterruptedError } from "../../lib/errors.ts";

/** @throws {InterruptedError} when the user stopped the work */
export function throwIfInterrupted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new InterruptedError();
}
