import { UsageError } from "../lib/errors.ts";

/**
 * The build time of reproducible-builds.org: whole seconds since 1970 in `SOURCE_DATE_EPOCH`.
 *
 * @throws {UsageError} `environment.source-date-epoch`
 */
export function sourceDateEpoch(env: Readonly<Record<string, string | undefined>>): Date | undefined {
  const text = env["SOURCE_DATE_EPOCH"];
  if (text === undefined || text === "") return undefined;
  if (!/^\d{1,11}$/.test(text)) {
    throw new UsageError(
      "environment.source-date-epoch",
      `SOURCE_DATE_EPOCH is ${JSON.stringify(text)}: expected whole seconds since 1970`,
    );
  }
  return new Date(Number(text) * 1000);
}
