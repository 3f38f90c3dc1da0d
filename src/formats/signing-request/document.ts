/** What the JSON documents around signing have in common: a schema, a version, no member that nobody knows. */
import { createHash } from "node:crypto";
import * as v from "valibot";
import { FormatError, quote, UnsupportedError } from "../../lib/errors.ts";
import { canonicalJson, type JsonValue, parseJson } from "../oci/index.ts";
import { MAX_TEXT_LENGTH } from "./layout.ts";

export interface DocumentKind {
  /** For messages. */
  readonly what: string;
  readonly schema: string;
  readonly version: number;
  /** First part of the cause codes. */
  readonly area: string;
  readonly maxSize: number;
}

/**
 * Parses a document of a kind. Which version it has is looked at before anything else in it.
 *
 * @throws {FormatError} `AREA.malformed`, `AREA.schema`, `AREA.path`
 * @throws {UnsupportedError} `AREA.version`
 */
export function parseVersioned<const Schema extends v.GenericSchema>(
  bytes: Uint8Array,
  schema: Schema,
  kind: DocumentKind,
): v.InferOutput<Schema> {
  const { area, maxSize, what } = kind;
  const value = parseJson(bytes, { what, code: `${area}.malformed`, maxSize });
  requireKind(value, kind);
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  const path = (issue.path ?? []).map(({ key }) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`));
  throw new FormatError(issue.message === HOSTILE_PATH ? `${area}.path` : `${area}.malformed`, {
    what: `${what}: ${path.join("").replace(/^\./, "") || "document"}`,
    expected:
      issue.expected === "never"
        ? "no such member"
        : (issue.requirement?.toString() ?? issue.expected ?? "another value"),
    found: typeof issue.input === "string" ? quote(issue.input) : issue.received,
  });
}

function requireKind(value: JsonValue, { area, schema, version, what }: DocumentKind): void {
  const named = value as { readonly schema?: unknown; readonly version?: unknown } | null;
  if (typeof named !== "object" || named?.schema !== schema) {
    const found = typeof named?.schema === "string" ? quote(named.schema) : "another document";
    throw new FormatError(`${area}.schema`, { what: `${what}: schema`, expected: quote(schema), found });
  }
  if (named.version === version) return;
  throw new UnsupportedError(
    `${area}.version`,
    `${what}: version ${quote(JSON.stringify(named.version) ?? "missing")}: this Sealwright knows version ${version}`,
    { hint: "both sides need the same version of Sealwright", data: { expected: version } },
  );
}

/** Stands in the place of valibot's message where the refusal has a code of its own. */
export const HOSTILE_PATH = "path";

/** Text that people are shown: no control and no invisible characters, which could make it read as something else. */
export const textField = v.pipe(v.string(), v.maxLength(MAX_TEXT_LENGTH), v.regex(/^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]*$/u));

/** SHA-256, lower-case hex. */
export const sha256Field = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));

/** UTC in whole seconds, as `Date.toISOString` writes it without its milliseconds. */
export const timeField = v.pipe(
  v.string(),
  v.regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
  v.check((text) => !Number.isNaN(Date.parse(text)), "a time"),
);

/** Base64 with padding (RFC 4648 §4), the shortest form. */
export const base64Field = (maxSize: number) =>
  v.pipe(
    v.string(),
    v.maxLength(Math.ceil(maxSize / 3) * 4),
    v.check((text) => Buffer.from(text, "base64").toString("base64") === text, "base64"),
  );

/** A time as `timeField` takes it. */
export function showTime(time: Date): string {
  return time.toISOString().replace(/\.\d+Z$/, "Z");
}

/** SHA-256 over the canonical JSON (RFC 8785) of a document, lower-case hex. */
export function hashDocument(document: object): string {
  return createHash("sha256").update(canonicalJson(document)).digest("hex");
}
