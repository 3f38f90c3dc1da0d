/** The API and the page. Each route parses, calls one action, shows. */
import { type Context, Hono } from "hono";
import { deleteCookie, setCookie } from "hono/cookie";
import { acceptRequest, readSignatures, requireRole, takeDecision } from "../actions/signer-service/requests.ts";
import { toRequestDetails, toRequestView } from "../actions/signer-service/views.ts";
import { fingerprintOf, MAX_APPROVAL_SIZE, MAX_FILE_SIZE, MAX_REQUEST_SIZE } from "../formats/signing-request/index.ts";
import { NotFoundError, quote, SealwrightError, UsageError } from "../lib/errors.ts";
import {
  type Client,
  isRequestState,
  lastAuditLine,
  listRequests,
  loadRequest,
  storeRequestFile,
  streamAudit,
} from "../model/signing-queue/index.ts";
import { authenticate, bearerToken, cookieName, requireSameOrigin, socketOf } from "./authenticate.ts";
import { loadBody, requireContentType, streamBody } from "./body.ts";
import { eventStream } from "./events.ts";
import { FAULT_BODY, failureBody, statusOf } from "./failures.ts";
import { securityHeaders } from "./headers.ts";
import { openApiDocument } from "./openapi.ts";
import { type Rate, RateLimit } from "./rate-limit.ts";
import type { Service } from "./service.ts";

interface Variables {
  readonly client: Client;
  /** Cause code of the answer, for the log. */
  readonly refusal: string;
}

/** Of one client. A page that shows a list of requests asks for each once. */
const CLIENT_RATE: Rate = { burst: 200, perSecond: 20 };

/** Of one address that shows wrong tokens. */
const STRANGER_RATE: Rate = { burst: 20, perSecond: 0.2 };

/** Newest first; older ones are looked up by their identifier. */
const MAX_LISTED = 200;

/** A working day. The token behind it can be revoked at any time. */
const COOKIE_SECONDS = 10 * 60 * 60;

/** @param stopping ends streams when the server stops */
export function createApp(service: Service, stopping: AbortSignal): Hono<{ Variables: Variables }> {
  const { desk, log, now, queue, tls, watcher } = service;
  const clients = new RateLimit(CLIENT_RATE, now);
  const strangers = new RateLimit(STRANGER_RATE, now);
  const app = new Hono<{ Variables: Variables }>();

  app.use(async (context, next) => {
    const from = performance.now();
    await next();
    const { method, path } = context.req;
    const client = context.get("client")?.name;
    const ms = Math.round(performance.now() - from);
    const code = context.get("refusal");
    log.info("request", { method, path: path.slice(0, 200), status: context.res.status, code, client, ms });
  });
  app.use(securityHeaders(tls));
  app.onError((error, context) => {
    if (error instanceof SealwrightError) {
      context.set("refusal", error.code);
      return context.json(failureBody(error), statusOf(error));
    }
    log.fault("request", error);
    return context.json(FAULT_BODY, 500);
  });
  app.notFound((context) => {
    const error = new NotFoundError("service.route-unknown", `there is nothing at ${quote(context.req.path)}`);
    return context.json(failureBody(error), statusOf(error));
  });

  app.get("/healthz", (context) => context.json({ status: "ok" }));
  app.get("/api/v1/openapi.json", (context) => context.json(openApiDocument));
  for (const [path, { body, etag, type }] of service.page) {
    app.get(path, (context) => {
      const headers = { etag, "cache-control": "no-cache" };
      if (context.req.header("if-none-match") === etag) return context.body(null, 304, headers);
      return context.body(body, 200, { ...headers, "content-type": type });
    });
  }

  app.use("/api/v1/*", async (context, next) => {
    requireSameOrigin(context);
    const address = socketOf(context)?.remoteAddress ?? "";
    strangers.require(address);
    let client: Client;
    try {
      client = await authenticate(context, queue, tls);
    } catch (error) {
      if (error instanceof SealwrightError && error.code !== "service.unauthenticated") strangers.take(address);
      throw error;
    }
    clients.take(client.name);
    context.set("client", client);
    await next();
  });

  app.get("/api/v1/session", (context) => context.json(context.get("client")));
  app.post("/api/v1/session", (context) => {
    const token = bearerToken(context);
    if (token === undefined) throw new UsageError("service.session", "a session begins with a bearer token");
    const rules = { httpOnly: true, secure: tls, sameSite: "Strict", path: "/", maxAge: COOKIE_SECONDS } as const;
    setCookie(context, cookieName(tls), token, rules);
    return context.json(context.get("client"));
  });
  app.delete("/api/v1/session", (context) => {
    deleteCookie(context, cookieName(tls), { path: "/", secure: tls });
    return context.body(null, 204);
  });

  app.get("/api/v1/requests", async (context) => {
    const states = context.req.queries("state") ?? [];
    const unknown = states.find((state) => !isRequestState(state));
    if (unknown !== undefined) {
      throw new UsageError("service.state-unknown", `state ${quote(unknown)}: there is none of that name`);
    }
    const listed = await listRequests(queue, {
      limit: MAX_LISTED,
      states: states.length === 0 ? undefined : states.filter(isRequestState),
    });
    return context.json({ requests: listed.map(toRequestView) });
  });
  app.post("/api/v1/requests", async (context) => {
    const client = context.get("client");
    requireContentType(context, "application/json");
    const document = await loadBody(context, MAX_REQUEST_SIZE);
    const { lifetimeMs } = service;
    const { created, details } = await acceptRequest(document, { queue, desk, client, now: now(), lifetimeMs });
    service.changed();
    return context.json(details, created ? 201 : 200);
  });
  app.get("/api/v1/requests/:id", async (context) =>
    context.json(toRequestDetails(await loadRequest(queue, context.req.param("id")))),
  );
  app.get("/api/v1/requests/:id/document", async (context) => {
    const { document, id } = await loadRequest(queue, context.req.param("id"));
    return download(context, document, "application/json", `${id}.json`);
  });
  app.put("/api/v1/requests/:id/files/:name", async (context) => {
    requireRole(context.get("client"), "builder", "submit files");
    requireContentType(context, "application/octet-stream");
    const { id, name } = context.req.param();
    await storeRequestFile(queue, id, name, streamBody(context, MAX_FILE_SIZE), now);
    service.changed();
    return context.json(toRequestView(await loadRequest(queue, id)));
  });
  app.post("/api/v1/requests/:id/decisions", async (context) => {
    requireContentType(context, "application/json");
    const bytes = await loadBody(context, MAX_APPROVAL_SIZE);
    const client = context.get("client");
    const details = await takeDecision(context.req.param("id"), bytes, { queue, desk, client, now: now() });
    service.changed();
    return context.json(details, 201);
  });
  app.get("/api/v1/requests/:id/signatures", async (context) =>
    context.json({ signatures: await readSignatures(queue, context.req.param("id")) }),
  );

  app.get("/api/v1/approvers", async (context) => {
    const approvers = await desk.approvers();
    return context.json({ approvers: approvers.map(({ key, name }) => ({ name, publicKey: fingerprintOf(key) })) });
  });
  app.get("/api/v1/audit", async (context) => {
    const lines: string[] = [];
    for await (const line of streamAudit(queue)) lines.push(line);
    return context.body(lines.map((line) => `${line}\n`).join(""), 200, { "content-type": "application/jsonl" });
  });
  app.get("/api/v1/audit/head", async (context) => {
    const last = await lastAuditLine(queue);
    if (last === undefined) throw new NotFoundError("service.audit-empty", "nothing was signed or refused yet");
    return context.body(await desk.auditHead(last.line), 200, { "content-type": "application/json" });
  });
  app.get("/api/v1/events", (context) => eventStream(watcher, AbortSignal.any([context.req.raw.signal, stopping])));
  return app;
}

function download(context: Context, bytes: Uint8Array, type: string, name: string): Response {
  return context.body(Buffer.from(bytes), 200, {
    "content-type": type,
    "content-disposition": `attachment; filename="${name}"`,
  });
}
