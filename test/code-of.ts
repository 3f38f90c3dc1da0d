import { SealwrightError } from "../src/lib/errors.ts";

/** The cause code that an action is refused with, or "accepted"; anything that is not a refusal goes through. */
export function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof SealwrightError) return error.code;
    throw error;
  }
  return "accepted";
}

/** The same for actions that take their time. */
export async function codeOfAsync(action: () => Promise<unknown>): Promise<string> {
  try {
    await action();
  } catch (error) {
    if (error instanceof SealwrightError) return error.code;
    throw error;
  }
  return "accepted";
}
