/** What the JSON documents of OCI have in common: checked by a schema, kept whole. */
import * as v from "valibot";
import { FormatError, quote } from "../../lib/errors.ts";
import { BLOB_DIGEST_FORM, type BlobDigest, isBlobDigest } from "./digest.ts";
import { type JsonLimits, parseJson } from "./json.ts";

/**
 * A value nobody may change in place: documents are named by the digest of their bytes. Members the schema does not
 * know are in the value, but not in its type.
 */
export type Immutable<T> = T extends string | number | boolean | null | undefined
  ? T
  : T extends readonly (infer Element)[]
    ? readonly Immutable<Element>[]
    : { readonly [K in keyof T as unknown extends T[K] ? never : K]: Immutable<T[K]> };

/**
 * Parses a document and checks the members we know. The value is the document as it was written: unknown members
 * and the order of names are still there when it is encoded again.
 *
 * @throws {FormatError} with `limits.code`, or `oci.digest.malformed`
 */
export function parseDocument<Schema extends v.GenericSchema>(
  bytes: Uint8Array,
  schema: Schema,
  limits: JsonLimits,
): Immutable<v.InferOutput<Schema>> {
  const value = parseJson(bytes, limits);
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) return value as Immutable<v.InferOutput<Schema>>;
  const [issue] = result.issues;
  throw new FormatError(issue.message.startsWith(OWN_CODE) ? issue.message : limits.code, {
    what: `${limits.what}: ${showPath(issue)}`,
    expected: describeExpected(issue),
    found: typeof issue.input === "string" ? quote(issue.input) : issue.received,
  });
}

/** A schema whose refusal has a cause code of its own gives it in the place of valibot's message. */
const OWN_CODE = "oci.";

function describeExpected(issue: v.BaseIssue<unknown>): string {
  if (issue.message === "oci.digest.malformed") return BLOB_DIGEST_FORM;
  if (issue.type === "check") return "a media type for this document";
  if (issue.expected === "never") return "no such member";
  return issue.expected ?? issue.message;
}

function showPath(issue: v.BaseIssue<unknown>): string {
  const keys = (issue.path ?? []).map(({ key }) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`));
  return keys.join("").replace(/^\./, "") || "document";
}

export const digestField = v.custom<BlobDigest>(isBlobDigest, "oci.digest.malformed");

/** A size in bytes. The specification says int64; nothing we can read passes 2^53. */
export const sizeField = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

/** Names to strings: annotations and labels. Engines written in Go emit `null` for an empty map. */
export const stringMap = v.nullish(v.record(v.string(), v.string()));
