/** The API as an OpenAPI 3.1 document. A test compares its paths with those of the application. */
import { REQUEST_STATES, ROLES } from "../model/signing-queue/index.ts";

type Schema = Readonly<Record<string, unknown>>;

const text: Schema = { type: "string" };
const whole: Schema = { type: "integer", minimum: 0 };
const time: Schema = { type: "string", format: "date-time" };
const sha256: Schema = { type: "string", pattern: "^[0-9a-f]{64}$" };
const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });
const list = (items: Schema): Schema => ({ type: "array", items });
const nullable = (schema: Schema): Schema => ({ anyOf: [schema, { type: "null" }] });

/** Members are required unless their name ends with "?". */
function object(members: Readonly<Record<string, Schema>>): Schema {
  const names = Object.keys(members);
  return {
    type: "object",
    properties: Object.fromEntries(names.map((name) => [name.replace("?", ""), members[name]])),
    required: names.filter((name) => !name.endsWith("?")),
  };
}

const request = {
  id: sha256,
  state: { enum: REQUEST_STATES },
  image: text,
  builder: text,
  submittedAt: time,
  expiresAt: time,
  quorum: nullable(whole),
  decisions: list(ref("Decision")),
  refusal: nullable(ref("Refusal")),
  revision: whole,
};

const schemas: Readonly<Record<string, Schema>> = {
  Session: object({ name: text, role: { enum: ROLES } }),
  Decision: object({ approver: text, verdict: { enum: ["approved", "rejected"] }, "reason?": text, decidedAt: time }),
  Refusal: object({ code: text, message: text, "hint?": text }),
  Failure: object({ error: ref("Refusal") }),
  Request: object(request),
  RequestDetails: object({
    ...request,
    request: { type: "object", description: "The signing request, as it was submitted" },
    missing: list(text),
    review: nullable(ref("Review")),
  }),
  Review: object({
    reviewedAt: time,
    verdicts: list(object({ rule: text, holds: { type: "boolean" }, detail: text, "code?": text })),
    lint: nullable(
      list(
        object({ level: { enum: ["fatal", "warning"] }, name: text, code: text, message: text, "paths?": list(text) }),
      ),
    ),
    diff: nullable(
      object({
        before: text,
        "beforeName?": text,
        sections: list(
          object({
            title: text,
            summary: text,
            rows: list(object({ mark: { enum: ["+", "-", "~"] }, cells: list(text) })),
            omitted: whole,
          }),
        ),
        "problem?": ref("Refusal"),
      }),
    ),
  }),
  Approver: object({ name: text, publicKey: sha256 }),
  Signature: object({ file: text, bytes: { type: "string", contentEncoding: "base64" } }),
};

const json = (schema: Schema) => ({ content: { "application/json": { schema } } });
const answer = (description: string, schema: Schema) => ({ description, ...json(schema) });
const FAILURE = answer("A refusal, with its cause code", ref("Failure"));

interface Operation {
  readonly summary: string;
  readonly answers: Readonly<Record<string, Schema>>;
  readonly body?: Schema;
  readonly query?: Readonly<Record<string, Schema>>;
  /** Without a token or certificate. */
  readonly open?: boolean;
}

function operation(path: string, { answers, body, open = false, query = {}, summary }: Operation): Schema {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: text,
  }));
  const inQuery = Object.entries(query).map(([name, schema]) => ({ name, in: "query", required: false, schema }));
  return {
    summary,
    ...(inPath.length + inQuery.length === 0 ? {} : { parameters: [...inPath, ...inQuery] }),
    ...(body === undefined ? {} : { requestBody: { required: true, content: body } }),
    responses: { ...answers, default: FAILURE },
    ...(open ? { security: [] } : {}),
  };
}

const JSON_BODY = { "application/json": { schema: { type: "object" } } };

const operations: Readonly<Record<string, Readonly<Record<string, Operation>>>> = {
  "/healthz": {
    get: {
      summary: "Whether the service answers",
      open: true,
      answers: { 200: answer("It does", object({ status: text })) },
    },
  },
  "/api/v1/openapi.json": {
    get: { summary: "This document", open: true, answers: { 200: answer("OpenAPI 3.1", { type: "object" }) } },
  },
  "/api/v1/session": {
    get: { summary: "Who one is", answers: { 200: answer("Name and role", ref("Session")) } },
    post: {
      summary: "Keep the bearer token in a cookie, for the page",
      answers: { 200: answer("Name and role", ref("Session")) },
    },
    delete: { summary: "Drop the cookie", answers: { 204: { description: "Dropped" } } },
  },
  "/api/v1/requests": {
    get: {
      summary: "Requests, the newest first",
      query: { state: list({ enum: REQUEST_STATES }) },
      answers: { 200: answer("At most 200", object({ requests: list(ref("Request")) })) },
    },
    post: {
      summary: "Submit request.json; the same one again is the same entry",
      body: JSON_BODY,
      answers: {
        200: answer("It was there already", ref("RequestDetails")),
        201: answer("It is new, or starts anew; `missing` names the files to send", ref("RequestDetails")),
      },
    },
  },
  "/api/v1/requests/{id}": {
    get: { summary: "One request, with its review", answers: { 200: answer("The request", ref("RequestDetails")) } },
  },
  "/api/v1/requests/{id}/document": {
    get: { summary: "request.json as it was submitted", answers: { 200: answer("The document", { type: "object" }) } },
  },
  "/api/v1/requests/{id}/files/{name}": {
    put: {
      summary: "A file of a request",
      body: { "application/octet-stream": { schema: { type: "string", format: "binary" } } },
      answers: { 200: answer("The request", ref("Request")) },
    },
  },
  "/api/v1/requests/{id}/decisions": {
    post: {
      summary: "A signed decision: approve or reject",
      body: JSON_BODY,
      answers: { 201: answer("The request after it", ref("RequestDetails")) },
    },
  },
  "/api/v1/requests/{id}/signatures": {
    get: {
      summary: "The signatures of a signed request",
      answers: { 200: answer("One of each item", object({ signatures: list(ref("Signature")) })) },
    },
  },
  "/api/v1/approvers": {
    get: {
      summary: "Approvers of the policy in force",
      answers: { 200: answer("Names and keys", object({ approvers: list(ref("Approver")) })) },
    },
  },
  "/api/v1/audit": {
    get: {
      summary: "The audit log",
      answers: { 200: { description: "One JSON document a line", content: { "application/jsonl": { schema: text } } } },
    },
  },
  "/api/v1/audit/head": {
    get: {
      summary: "How far the audit log goes, signed",
      answers: { 200: answer("The head; a log that is read afterwards goes at least so far", { type: "object" }) },
    },
  },
  "/api/v1/events": {
    get: {
      summary: "Server-sent events named change: {id, state, revision}",
      answers: { 200: { description: "A stream", content: { "text/event-stream": { schema: text } } } },
    },
  },
};

export const openApiDocument = {
  openapi: "3.1.0",
  info: {
    title: "Sealwright signing service",
    version: "1",
    description: "Builders submit signing requests, approvers decide, the service signs what was reviewed.",
  },
  security: [{ token: [] }, { certificate: [] }, { cookie: [] }],
  paths: Object.fromEntries(
    Object.entries(operations).map(([path, methods]) => [
      path,
      Object.fromEntries(Object.entries(methods).map(([method, each]) => [method, operation(path, each)])),
    ]),
  ),
  components: {
    schemas,
    securitySchemes: {
      token: { type: "http", scheme: "bearer" },
      certificate: { type: "mutualTLS" },
      cookie: { type: "apiKey", in: "cookie", name: "__Host-sealwright" },
    },
  },
};
