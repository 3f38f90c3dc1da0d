import * as v from "valibot";
import type { VerityAlgorithm } from "../../formats/fsverity/index.ts";
import { FormatError, PolicyError, quote } from "../../lib/errors.ts";

/** What a repository says about itself. */
export interface RepositoryMeta {
  readonly algorithm: VerityAlgorithm;
  /** EROFS format of new images; 2 where it is not said. */
  readonly defaultFormat: number;
  readonly features: readonly string[];
}

/** Safety limit, not a format rule. */
export const META_SIZE_MAX = 65_536;

const names = v.optional(v.array(v.string()), []);
const schema = v.object({
  version: v.number(),
  algorithm: v.string(),
  features: v.optional(v.object({ compatible: names, "read-only-compatible": names, incompatible: names }), {}),
  erofs_formats: v.optional(v.object({ default: v.optional(v.number(), 2) }), { default: 2 }),
});

/**
 * Parses `meta.json` by the rules of composefs-rs.
 *
 * @throws {FormatError} `disk.meta.malformed`, `disk.meta.algorithm`
 * @throws {PolicyError} `disk.meta.version`, `disk.meta.feature` for what composefs-rs would not open
 * @see composefs specification, section 8.2
 */
export function parseMeta(bytes: Uint8Array): RepositoryMeta {
  const what = "meta.json";
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch (cause) {
    throw new FormatError(
      "disk.meta.malformed",
      { what, expected: "JSON", found: (cause as Error).message },
      { cause },
    );
  }
  const parsed = v.safeParse(schema, json);
  if (!parsed.success) {
    const found = v.summarize(parsed.issues).split("\n")[0] ?? "";
    throw new FormatError("disk.meta.malformed", { what, expected: "the members of a repository's", found });
  }
  const { algorithm, erofs_formats, features, version } = parsed.output;
  if (version > 1) throw new PolicyError("disk.meta.version", `${what}: found version ${version}, expected at most 1`);
  const [unknown] = features.incompatible;
  if (unknown !== undefined) {
    throw new PolicyError("disk.meta.feature", `${what}: found incompatible feature ${quote(unknown)}, expected none`);
  }
  const [, hash] = /^fsverity-(sha256|sha512)-12$/.exec(algorithm) ?? [];
  if (hash !== "sha256" && hash !== "sha512") {
    const expected = "fsverity-sha256-12 or fsverity-sha512-12";
    throw new FormatError("disk.meta.algorithm", { what: `${what}: algorithm`, expected, found: quote(algorithm) });
  }
  return {
    algorithm: hash,
    defaultFormat: erofs_formats.default,
    features: [...features.compatible, ...features["read-only-compatible"]],
  };
}
