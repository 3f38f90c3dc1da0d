import * as v from "valibot";
import { type Immutable, parseDocument } from "../oci/document.ts";
import { canonicalJson } from "../oci/json.ts";

export const STATEMENT_TYPE = "https://in-toto.io/Statement/v1";

/** cosign 2 still writes the one before. The members that are read here are the same. */
const STATEMENT_TYPE_0_1 = "https://in-toto.io/Statement/v0.1";

/** Safety limit: an SBOM of a large image has some megabytes. */
const MAX_STATEMENT_SIZE = 64 * 1024 * 1024;

const statementSchema = v.looseObject({
  _type: v.picklist([STATEMENT_TYPE, STATEMENT_TYPE_0_1]),
  subject: v.array(v.looseObject({ name: v.nullish(v.string()), digest: v.record(v.string(), v.string()) })),
  predicateType: v.string(),
  /** cosign leaves it out where the type says it all. */
  predicate: v.nullish(v.looseObject({})),
});

export type Statement = Immutable<v.InferOutput<typeof statementSchema>>;

/** Of what is spoken: hex by algorithm. */
export interface Subject {
  readonly name: string;
  readonly digest: Readonly<Record<string, string>>;
}

/**
 * @throws {FormatError} `in-toto.statement.malformed`
 * @see in-toto attestation framework, spec/v1/statement.md
 */
export function parseStatement(bytes: Uint8Array, what = "in-toto statement"): Statement {
  return parseDocument(bytes, statementSchema, {
    what,
    code: "in-toto.statement.malformed",
    maxSize: MAX_STATEMENT_SIZE,
  });
}

/** Encodes a statement in canonical JSON. */
export function encodeStatement(subject: readonly Subject[], predicateType: string, predicate: unknown): Uint8Array {
  return canonicalJson({ _type: STATEMENT_TYPE, subject, predicateType, predicate });
}
