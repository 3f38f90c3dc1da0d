import { quote, UsageError } from "../lib/errors.ts";

const UNITS = { "": 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 } as const;

/**
 * A size in bytes, or with a unit of 1024: `512M`, `20G`.
 *
 * @throws {UsageError} `size.malformed`
 */
export function parseSize(text: string): number {
  const match = /^(\d{1,15})([KMGT]?)(?:i?B)?$/i.exec(text);
  const size = match === null ? 0 : Number(match[1]) * UNITS[(match[2] as string).toUpperCase() as keyof typeof UNITS];
  if (size > 0 && Number.isSafeInteger(size)) return size;
  throw new UsageError("size.malformed", `size ${quote(text)}: expected a number, and K, M, G or T behind it`);
}
