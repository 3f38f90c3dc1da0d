import * as v from "valibot";
import { digestField, type Immutable, sizeField, stringMap } from "./document.ts";
import { platformSchema } from "./platform.ts";

/** @see OCI image specification 1.1, descriptor.md */
export const descriptorSchema = v.looseObject({
  mediaType: v.string(),
  digest: digestField,
  size: sizeField,
  annotations: stringMap,
  artifactType: v.nullish(v.string()),
  /** Only on descriptors in an index. */
  platform: v.nullish(platformSchema),
});

/** Names stored bytes: what they are, their digest and their size. */
export type Descriptor = Immutable<v.InferOutput<typeof descriptorSchema>>;
