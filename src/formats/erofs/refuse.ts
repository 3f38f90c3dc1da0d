import { FormatError } from "../../lib/errors.ts";

/** A magic or a set of flags for a message. */
export const showHex = (value: number): string => `0x${value.toString(16).padStart(8, "0")}`;

export function refuse(
  code: string,
  what: string,
  offset: number | undefined,
  expected: string,
  found: string,
): FormatError {
  return new FormatError(code, { what: `EROFS ${what}`, ...(offset === undefined ? {} : { offset }), expected, found });
}
