/** Platforms of an image index: operating system, CPU architecture (names of GOOS and GOARCH) and its variant. */
import * as v from "valibot";
import { quote, UsageError } from "../../lib/errors.ts";
import type { Immutable } from "./document.ts";

export const platformSchema = v.looseObject({
  os: v.string(),
  architecture: v.string(),
  variant: v.nullish(v.string()),
});

export type Platform = Immutable<v.InferOutput<typeof platformSchema>>;

const PLATFORM = /^([a-z0-9]+)\/([a-z0-9_]+)(?:\/([a-z0-9.]+))?$/;

/**
 * Parses `linux/amd64` or `linux/arm/v7`.
 *
 * @throws {UsageError} `platform.malformed`
 */
export function parsePlatform(text: string): Platform {
  const [, os, architecture, variant] = PLATFORM.exec(text) ?? [];
  if (os === undefined || architecture === undefined) {
    throw new UsageError(
      "platform.malformed",
      `platform ${quote(text)}: expected the form linux/amd64 or linux/arm/v7`,
    );
  }
  return variant === undefined ? { os, architecture } : { os, architecture, variant };
}

export function showPlatform({ os, architecture, variant }: Platform): string {
  return [os, architecture, variant ?? ""].filter((part) => part !== "").join("/");
}

/** Images for arm64 without a variant are v8: there was no other when the name was made. */
const IMPLIED_VARIANT: Readonly<Record<string, string>> = { arm64: "v8" };

/** Whether an image for `offered` is one for `wanted`. Without a wanted variant every variant will do. */
export function matchesPlatform(offered: Platform, wanted: Platform): boolean {
  if (offered.os !== wanted.os || offered.architecture !== wanted.architecture) return false;
  if (wanted.variant === undefined || wanted.variant === null) return true;
  return (offered.variant ?? IMPLIED_VARIANT[offered.architecture]) === wanted.variant;
}
