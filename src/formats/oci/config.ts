import * as v from "valibot";
import { FormatError } from "../../lib/errors.ts";
import type { BlobDigest } from "./digest.ts";
import { digestField, type Immutable, parseDocument, stringMap } from "./document.ts";
import { canonicalJson } from "./json.ts";
import type { Manifest } from "./manifest.ts";

/** Safety limit: a config of a megabyte is already unheard of. */
export const MAX_CONFIG_SIZE = 16 * 1024 * 1024;

const CODE = "oci.config.malformed";

const strings = v.nullish(v.array(v.string()));

const historySchema = v.looseObject({
  created: v.nullish(v.string()),
  created_by: v.nullish(v.string()),
  author: v.nullish(v.string()),
  comment: v.nullish(v.string()),
  empty_layer: v.nullish(v.boolean()),
});

const imageConfigSchema = v.looseObject({
  architecture: v.string(),
  os: v.string(),
  variant: v.nullish(v.string()),
  created: v.nullish(v.string()),
  /** What a container of the image starts with. */
  config: v.nullish(
    v.looseObject({
      User: v.nullish(v.string()),
      Env: strings,
      Entrypoint: strings,
      Cmd: strings,
      WorkingDir: v.nullish(v.string()),
      Labels: stringMap,
      StopSignal: v.nullish(v.string()),
    }),
  ),
  rootfs: v.looseObject({ type: v.literal("layers"), diff_ids: v.nullish(v.array(digestField)) }),
  history: v.nullish(v.array(historySchema)),
});

/** The image config of OCI or Docker. A `null` member means the same as an absent one. */
export type ImageConfig = Immutable<v.InferOutput<typeof imageConfigSchema>>;
export type HistoryEntry = Immutable<v.InferOutput<typeof historySchema>>;

/**
 * @param what where the bytes are from, for messages
 * @throws {FormatError} `oci.config.malformed`, `oci.digest.malformed`
 * @see OCI image specification 1.1, config.md
 */
export function parseImageConfig(bytes: Uint8Array, what = "image config"): ImageConfig {
  return parseDocument(bytes, imageConfigSchema, { what, code: CODE, maxSize: MAX_CONFIG_SIZE });
}

/** Encodes a config with every member it has, known or not, in canonical JSON. */
export function encodeImageConfig(config: ImageConfig): Uint8Array {
  return canonicalJson(config);
}

/**
 * The diff IDs of the layers of `manifest`.
 *
 * @throws {FormatError} `oci.config.diff-ids-mismatch` when the config speaks of another number of layers
 */
export function requireDiffIds(config: ImageConfig, manifest: Manifest): readonly BlobDigest[] {
  const diffIds = config.rootfs.diff_ids ?? [];
  if (diffIds.length === manifest.layers.length) return diffIds;
  throw new FormatError("oci.config.diff-ids-mismatch", {
    what: "image config: rootfs.diff_ids",
    expected: `${manifest.layers.length}, as many as the manifest has layers`,
    found: `${diffIds.length}`,
  });
}

/**
 * The history entry that made each layer. Tools that append layers without history leave it shorter than the list
 * of layers: then nothing is known of any.
 */
export function layerHistory(config: ImageConfig): readonly (HistoryEntry | undefined)[] {
  const count = config.rootfs.diff_ids?.length ?? 0;
  const made = (config.history ?? []).filter((entry) => entry.empty_layer !== true);
  return made.length === count ? made : Array.from<undefined>({ length: count });
}
