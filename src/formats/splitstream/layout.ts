/** Offsets and constants of split streams (composefs specification, section 8.3). */
import type { Field } from "../../lib/bytes/field.ts";

export const MAGIC = "SplitStream";
export const VERSION = 0;
/** Logarithm of the fs-verity block size. */
export const BLOCK_BITS = 12;

export const HEADER_SIZE = 32;
export const HEADER = {
  version: [11, 1],
  flags: [12, 2],
  algorithm: [14, 1],
  blockBits: [15, 1],
  infoStart: [16, 8],
  infoEnd: [24, 8],
} as const satisfies Record<string, Field>;

/** Bytes of the info section that are defined; a longer one is allowed. */
export const INFO_SIZE = 80;
/** Ranges of the other sections in the order of the info section. */
export const SECTIONS = ["streamRefs", "objectRefs", "stream", "namedRefs"] as const;
export type SectionName = (typeof SECTIONS)[number];
export const INFO_CONTENT_TYPE = 64;
export const INFO_TOTAL_SIZE = 72;

/** What the original was: eight ASCII characters. */
export const CONTENT_TYPES = {
  layer: "ocilayer",
  config: "ociconfg",
  manifest: "ocimanif",
  blob: "oci_blob",
} as const;
