import type { ComposefsVersion } from "../../formats/erofs/index.ts";
import type { VerityAlgorithm } from "../../formats/fsverity/index.ts";
import { quote, UsageError } from "../../lib/errors.ts";

/**
 * What a digest depends on besides the tree: the image layout, and the hash of files and image alike.
 *
 * V0 and V1 are the layouts of libcomposefs, V2 is the first one of composefs-rs.
 */
export interface ComposefsFormat {
  /** `v1-sha512`: how Sealwright names it. */
  readonly name: string;
  readonly version: ComposefsVersion;
  readonly algorithm: VerityAlgorithm;
}

const VERSIONS = [0, 1, 2] as const;
const ALGORITHMS = ["sha256", "sha512"] as const;

/** Every format that can be written; frozen: same tree, same digest, in every release. */
export const COMPOSEFS_FORMATS: readonly ComposefsFormat[] = VERSIONS.flatMap((version) =>
  ALGORITHMS.map((algorithm) => Object.freeze({ name: `v${version}-${algorithm}`, version, algorithm })),
);

/** What bootc 1.16.4 and later compute for a tree. */
export const DEFAULT_COMPOSEFS_FORMAT: ComposefsFormat = requireFormat("v1-sha512");

/**
 * @param text `v1-sha512`, or with the block size that composefs-rs adds on kernel command lines: `v1-sha512-12`
 * @throws {UsageError} `composefs.format.unknown`
 */
export function parseComposefsFormat(text: string): ComposefsFormat {
  return requireFormat(text.replace(/-12$/, ""), text);
}

function requireFormat(name: string, text: string = name): ComposefsFormat {
  const found = COMPOSEFS_FORMATS.find((format) => format.name === name);
  if (found === undefined) {
    const names = COMPOSEFS_FORMATS.map((format) => format.name).join(", ");
    throw new UsageError("composefs.format.unknown", `composefs format ${quote(text)}: expected one of ${names}`);
  }
  return found;
}
