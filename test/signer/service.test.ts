import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { Agent, request as send } from "undici";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { InterruptedError, PolicyError } from "../../src/lib/errors.ts";
import { openTempDir, type TempDir } from "../../src/model/host-io/temp.ts";
import {
  addCertificate,
  addToken,
  openSigningQueue,
  type Role,
  revokeAccess,
  type SigningQueue,
} from "../../src/model/signing-queue/index.ts";
import { type RequestDetails, ServiceClient } from "../../src/model/signing-service/index.ts";
import { openApiDocument } from "../../src/server/openapi.ts";
import { codeOfAsync } from "../code-of.ts";
import { TestApprover } from "./approver.ts";
import { type CertificateFiles, TestAuthority } from "./certificates.ts";
import { makeTestRequest, StandInDesk } from "./stand-in.ts";
import { startService, type TestService } from "./start-service.ts";

const alice = new TestApprover("alice");
const bob = new TestApprover("bob");

let temp: TempDir;
let authority: TestAuthority;
let server: CertificateFiles;
let place: string;
let queue: SigningQueue;
let desk: StandInDesk;
let service: TestService;
let tokens: Readonly<Record<Role, string>>;

beforeAll(async () => {
  temp = await openTempDir();
  authority = new TestAuthority(join(temp.path, "authority"));
  server = authority.issue("server");
  place = join(temp.path, "queue.db");
  queue = await openSigningQueue(place);
  const add = (role: Role) => addToken(queue, { name: `a-${role}`, role }, new Date(), randomBytes);
  tokens = { builder: await add("builder"), approver: await add("approver"), auditor: await add("auditor") };
  desk = new StandInDesk({ approvers: [alice, bob], quorum: 2 });
  service = await startService({ queue: place, desk, authority, server });
});

afterAll(async () => {
  await service?.stop();
  await queue?.[Symbol.asyncDispose]();
  await temp?.[Symbol.asyncDispose]();
});

const open = (
  as: Role | { readonly token?: string; readonly client?: CertificateFiles } = "builder",
  url = service.url,
) =>
  ServiceClient.open({
    url,
    authority: authority.certificate,
    ...(typeof as === "string" ? { token: tokens[as] } : as),
  });

/** One exchange as it is on the wire. */
async function exchange(
  method: "GET" | "POST" | "PUT" | "DELETE",
  path: string,
  headers: Readonly<Record<string, string>> = {},
  body: string | Uint8Array | null = null,
) {
  const dispatcher = new Agent({ connect: { ca: authority.certificate } });
  const answer = await send(new URL(path, service.url), { method, headers, body, dispatcher });
  const text = await answer.body.text();
  await dispatcher.destroy();
  const code = text.startsWith("{") ? ((JSON.parse(text) as { error?: { code: string } }).error?.code ?? "") : "";
  return { status: answer.statusCode, headers: answer.headers, text, code };
}

const bearer = (role: Role) => ({ authorization: `Bearer ${tokens[role]}` });

async function until(client: ServiceClient, id: string, state: string): Promise<RequestDetails> {
  for (;;) {
    const details = await client.find(id);
    if (details.state === state) return details;
    if (["signed", "refused", "rejected", "expired"].includes(details.state)) {
      throw new Error(`${details.state}: ${details.refusal?.message}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test("a request is submitted, approved by two and signed, and submitting again changes nothing", async () => {
  await using builder = await open("builder");
  await using approver = await open("approver");
  const stub = randomBytes(300_000);
  const { document, id } = makeTestRequest("registry.example/os:1", stub);
  expect(await builder.submit(document)).toMatchObject({
    id,
    state: "receiving",
    missing: ["_stub.efi"],
    builder: "a-builder",
  });
  // oxlint-disable-next-line require-await -- a stream
  const content = (async function* () {
    yield stub.subarray(0, 100_000);
    yield stub.subarray(100_000);
  })();
  expect((await builder.putFile(id, "_stub.efi", stub.length, content)).state).toBe("reviewing");
  expect(await until(approver, id, "waiting")).toMatchObject({ quorum: 2, decisions: [] });
  expect(await codeOfAsync(() => builder.signatures(id))).toBe("service.not-signed");
  expect((await approver.decide(id, alice.decide(id))).state).toBe("waiting");
  expect(await codeOfAsync(() => approver.decide(id, alice.decide(id)))).toBe("service.already-decided");
  expect((await approver.decide(id, bob.decide(id))).state).toBe("signing");
  await until(builder, id, "signed");
  const { signatures } = await builder.signatures(id);
  expect(signatures).toEqual([
    { file: "6.12.57+deb13-amd64.efi.sig", bytes: Buffer.from("of 6.12.57+deb13-amd64.efi").toString("base64") },
  ]);
  expect((await builder.submit(document)).state).toBe("signed");
  expect(desk.signed.filter((each) => each === id)).toHaveLength(1);
  expect(Buffer.from(await builder.audit()).toString()).toContain(`"signed":"${id}"`);
  const { requests } = await builder.list(["signed"]);
  expect(requests.map((each) => each.id)).toEqual([id]);
});

test("a rejection is told to the builder", async () => {
  await using builder = await open("builder");
  await using approver = await open("approver");
  const { document, id } = makeTestRequest("registry.example/rejected:1");
  await builder.submit(document);
  await until(builder, id, "waiting");
  const after = await approver.decide(id, bob.decide(id, "reject", "two kernels"));
  expect(after).toMatchObject({
    state: "rejected",
    refusal: { code: "service.rejected", message: "bob rejected it: two kernels" },
    decisions: [{ approver: "bob", verdict: "rejected", reason: "two kernels" }],
  });
  expect(await codeOfAsync(() => approver.decide(id, alice.decide(id)))).toBe("service.request-state");
});

test("decisions are refused, each by its code", async () => {
  await using builder = await open("builder");
  await using approver = await open("approver");
  const { document, id } = makeTestRequest("registry.example/decisions:1");
  const other = makeTestRequest("registry.example/decisions:2");
  await builder.submit(document);
  await until(builder, id, "waiting");
  const decide = (bytes: Uint8Array, of = id) => codeOfAsync(() => approver.decide(of, bytes));
  const forged = Buffer.from(alice.decide(id)).toString().replace(`"approve"`, `"reject"`);
  expect(await decide(Buffer.from(forged))).toBe("approval.signature-wrong");
  expect(await decide(alice.decide(other.id))).toBe("approval.other-request");
  expect(await decide(new TestApprover("alice").decide(id))).toBe("approval.other-key");
  expect(await decide(new TestApprover("mallory").decide(id))).toBe("service.approver-unknown");
  expect(await decide(Buffer.from("{}"))).toBe("approval.schema");
  expect(await decide(alice.decide(other.id), other.id)).toBe("service.request-unknown");
  expect(await codeOfAsync(() => builder.decide(id, alice.decide(id)))).toBe("service.forbidden");
  expect(await codeOfAsync(() => approver.submit(document))).toBe("service.forbidden");
  expect((await builder.find(id)).decisions).toEqual([]);
});

test("requests are refused, each by its code", async () => {
  const { document, id } = makeTestRequest("registry.example/refusals:1");
  const json = { ...bearer("builder"), "content-type": "application/json" };
  const edited = Buffer.from(document).toString().replace("ttyS0", "ttyS1");
  const file = `/api/v1/requests/${id}/files/other`;
  const cases = [
    [await exchange("POST", "/api/v1/requests", json, edited), 422, "signing-request.edited"],
    [await exchange("POST", "/api/v1/requests", json, "no JSON"), 400, "signing-request.malformed"],
    [await exchange("POST", "/api/v1/requests", json, Buffer.alloc(2 << 20)), 413, "service.body-too-large"],
    [await exchange("POST", "/api/v1/requests", bearer("builder"), document), 415, "service.content-type"],
    [await exchange("PUT", file, json, document), 415, "service.content-type"],
    [
      await exchange("PUT", file, { ...bearer("builder"), "content-type": "application/octet-stream" }, "x"),
      404,
      "service.file-unknown",
    ],
    [await exchange("GET", `/api/v1/requests/${id}`, bearer("builder")), 404, "service.request-unknown"],
    [await exchange("GET", "/api/v1/requests?state=lost", bearer("builder")), 400, "service.state-unknown"],
    [await exchange("GET", "/api/v1/nothing", bearer("builder")), 404, "service.route-unknown"],
    [await exchange("GET", "/nothing"), 404, "service.route-unknown"],
    [
      await exchange("POST", "/api/v1/requests", { ...json, origin: "https://evil.example" }, document),
      403,
      "service.cross-origin",
    ],
    [
      await exchange("POST", "/api/v1/requests", { ...json, "sec-fetch-site": "cross-site" }, document),
      403,
      "service.cross-origin",
    ],
  ] as const;
  for (const [{ code, status }, expectedStatus, expectedCode] of cases) {
    expect([status, code]).toEqual([expectedStatus, expectedCode]);
  }
});

describe("access", () => {
  test("a token that is wrong, revoked or not there is refused", async () => {
    const token = await addToken(queue, { name: "gone", role: "builder" }, new Date(), randomBytes);
    const session = (value: string) => exchange("GET", "/api/v1/session", { authorization: value });
    expect(await session(`Bearer ${token}`)).toMatchObject({ status: 200 });
    await revokeAccess(queue, "gone", new Date());
    expect(await session(`Bearer ${token}`)).toMatchObject({ status: 401, code: "service.access-revoked" });
    expect(await session("Bearer swt_gone.wrong")).toMatchObject({ status: 401, code: "service.token-wrong" });
    expect(await session("Basic Zm9vOmJhcg==")).toMatchObject({ status: 401, code: "service.unauthenticated" });
    expect(await exchange("GET", "/api/v1/requests")).toMatchObject({ status: 401, code: "service.unauthenticated" });
  });

  test("a client certificate lets in when it is known and of the right authority", async () => {
    const known = authority.issue("known");
    const foreign = new TestAuthority(join(temp.path, "foreign")).issue("known");
    const der = (pem: string) => Buffer.from(pem.replaceAll(/-----.*-----|\s/g, ""), "base64");
    await addCertificate(queue, { name: "by-certificate", role: "auditor" }, new Date(), der(known.certificate));
    await addCertificate(queue, { name: "foreign", role: "auditor" }, new Date(), der(foreign.certificate));
    const session = async (client: CertificateFiles) => {
      await using opened = await open({ client });
      return await opened.session();
    };
    expect(await session(known)).toEqual({ name: "by-certificate", role: "auditor" });
    expect(await codeOfAsync(() => session(authority.issue("unknown")))).toBe("service.certificate-unknown");
    expect(await codeOfAsync(() => session(foreign))).toBe("service.certificate-untrusted");
  });

  test("the cookie of the page is out of reach for scripts and other sites", async () => {
    const answer = await exchange("POST", "/api/v1/session", bearer("approver"));
    const cookie = String(answer.headers["set-cookie"]);
    expect(cookie).toMatch(
      /^__Host-sealwright=swt_a-approver\..*; Max-Age=36000; Path=\/; HttpOnly; Secure; SameSite=Strict$/,
    );
    const [pair = ""] = cookie.split(";");
    expect(await exchange("GET", "/api/v1/session", { cookie: pair })).toMatchObject({ status: 200 });
    expect(await exchange("POST", "/api/v1/session", { cookie: pair })).toMatchObject({ code: "service.session" });
  });

  test("no token, and nothing of one, is in the log", async () => {
    await exchange("GET", `/api/v1/requests/${tokens.builder}`);
    expect(service.log.at(-1)).toContain('"status":401,"code":"service.unauthenticated"');
    const secrets = Object.values(tokens).map((token) => token.split(".")[1] as string);
    const log = service.log.filter((line) => !line.includes(`/requests/${tokens.builder}`)).join("");
    for (const secret of secrets) expect(log).not.toContain(secret);
  });
});

test("every answer has headers that keep browsers from doing harm", async () => {
  for (const path of ["/", "/healthz", "/api/v1/session", "/nothing"]) {
    const { headers } = await exchange("GET", path);
    expect(headers).toMatchObject({
      "content-security-policy": expect.stringMatching(
        /^default-src 'none'; script-src 'self'; .*frame-ancestors 'none'/,
      ),
      "strict-transport-security": "max-age=31536000",
      "x-content-type-options": "nosniff",
      "x-frame-options": "DENY",
    });
    expect(headers["content-security-policy"]).not.toContain("unsafe");
  }
});

test("the page is cached by its hash", async () => {
  const first = await exchange("GET", "/");
  expect(first.text).toMatch(/^<!DOCTYPE html>/);
  expect(await exchange("GET", "/", { "if-none-match": String(first.headers["etag"]) })).toMatchObject({ status: 304 });
});

test("the OpenAPI document names every route, and no other", async () => {
  const { text } = await exchange("GET", "/api/v1/openapi.json");
  expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(openApiDocument)));
  const { createApp } = await import("../../src/server/app.ts");
  const app = createApp({ page: new Map() } as never, new AbortController().signal);
  const routes = app.routes
    .filter(({ method }) => method !== "ALL")
    .map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, "{$1}")}`);
  const documented = Object.entries(openApiDocument.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect(documented.sort()).toEqual([...new Set(routes)].sort());
});

test("too many wrong tokens, and too many requests of one client, are refused for a while", async () => {
  const now = new Date();
  await using limited = await startService({ queue: place, desk, authority, server, now: () => now });
  await using wrong = await open({ token: "swt_a-builder.wrong" }, limited.url);
  const codes: string[] = [];
  for (let tries = 0; tries < 22; tries++) codes.push(await codeOfAsync(() => wrong.session()));
  expect(new Set(codes.slice(0, 20))).toEqual(new Set(["service.token-wrong"]));
  expect(new Set(codes.slice(20))).toEqual(new Set(["service.rate-limited"]));
  await using patient = await startService({ queue: place, desk, authority, server, now: () => now });
  await using busy = await open("builder", patient.url);
  const answers = await Promise.all(Array.from({ length: 210 }, () => codeOfAsync(() => busy.session())));
  expect(answers.filter((code) => code === "accepted")).toHaveLength(200);
  expect(answers.filter((code) => code === "service.rate-limited")).toHaveLength(10);
});

test("a refusal by the review ends the request, and submitting it again starts anew", async () => {
  await using builder = await open("builder");
  const { document, id } = makeTestRequest("registry.example/refused:1");
  desk.refusal = new PolicyError("policy.repository", "not allowed here", { hint: "ask the operator" });
  await builder.submit(document);
  expect((await until(builder, id, "refused").catch(() => builder.find(id))).refusal).toEqual({
    code: "policy.repository",
    message: "not allowed here",
    hint: "ask the operator",
  });
  expect(await codeOfAsync(() => builder.signatures(id))).toBe("service.not-signed");
  desk.refusal = undefined;
  await builder.submit(document);
  await until(builder, id, "waiting");
});

test("approvals stop counting when their approver leaves the policy", async () => {
  await using builder = await open("builder");
  await using approver = await open("approver");
  const { document, id } = makeTestRequest("registry.example/left:1");
  await builder.submit(document);
  await until(builder, id, "waiting");
  await approver.decide(id, alice.decide(id));
  desk.approverList = [bob];
  await approver.decide(id, bob.decide(id));
  const over = await until(builder, id, "refused").catch(() => builder.find(id));
  expect(over.refusal?.code).toBe("service.quorum-missing");
  desk.approverList = [alice, bob];
});

test("a request that nobody decides on in time expires", async () => {
  let now = new Date();
  const own = join(temp.path, "expiring.db");
  await using expiring = await openSigningQueue(own);
  const builderToken = await addToken(expiring, { name: "ci", role: "builder" }, now, randomBytes);
  const approverToken = await addToken(expiring, { name: "ann", role: "approver" }, now, randomBytes);
  await using late = await startService({ queue: own, desk, authority, server, now: () => now, lifetimeMs: 60_000 });
  await using builder = await open({ token: builderToken }, late.url);
  await using approver = await open({ token: approverToken }, late.url);
  const { document, id } = makeTestRequest("registry.example/expires:1");
  await builder.submit(document);
  await until(builder, id, "waiting");
  now = new Date(now.getTime() + 60_001);
  expect(await codeOfAsync(() => approver.decide(id, alice.decide(id)))).toMatch(/^service\.request-(expired|state)$/);
  expect((await builder.find(id)).state).toBe("expired");
});

test("a server that is stopped while it signs gives the job back, and another one signs", async () => {
  const own = join(temp.path, "stopping.db");
  await using handed = await openSigningQueue(own);
  const builderToken = await addToken(handed, { name: "ci", role: "builder" }, new Date(), randomBytes);
  const approverToken = await addToken(handed, { name: "ann", role: "approver" }, new Date(), randomBytes);
  const signing = Promise.withResolvers<void>();
  const slow = new StandInDesk({
    approvers: [alice],
    quorum: 1,
    beforeSigning: async ({ signal }) => {
      signing.resolve();
      await once(signal, "abort");
      throw new InterruptedError();
    },
  });
  const first = await startService({ queue: own, desk: slow, authority, server });
  const { document, id } = makeTestRequest("registry.example/stopped:1");
  {
    await using builder = await open({ token: builderToken }, first.url);
    await using approver = await open({ token: approverToken }, first.url);
    await builder.submit(document);
    await until(builder, id, "waiting");
    await approver.decide(id, alice.decide(id));
    await signing.promise;
  }
  await first.stop();
  expect(slow.signed).toEqual([]);
  const quick = new StandInDesk({ approvers: [alice], quorum: 1 });
  await using second = await startService({ queue: own, desk: quick, authority, server });
  await using builder = await open({ token: builderToken }, second.url);
  expect((await until(builder, id, "signed")).refusal).toBeNull();
  expect(quick.signed).toEqual([id]);
});

test("changes are told as they happen", async () => {
  await using builder = await open("builder");
  const dispatcher = new Agent({ connect: { ca: authority.certificate } });
  const answer = await send(new URL("/api/v1/events", service.url), { headers: bearer("auditor"), dispatcher });
  expect(answer.headers["content-type"]).toBe("text/event-stream");
  const { document, id } = makeTestRequest("registry.example/events:1");
  let said = "";
  for await (const chunk of answer.body) {
    said += String(chunk);
    if (said.startsWith("retry:") && !said.includes("event:")) await builder.submit(document);
    if (said.includes(`"id":"${id}","state":"waiting"`)) break;
  }
  await dispatcher.destroy();
  expect(said).toMatch(/event: change\ndata: \{"id"/);
});

test.each([
  ["0.0.0.0:0", true, "service.http-refused"],
  ["127.0.0.1:0", false, "service.tls-missing"],
  ["127.0.0.1", true, "service.listen"],
  ["127.0.0.1:99999", true, "service.listen"],
])("without TLS, listening on %s with plain HTTP allowed=%s is refused", async (listen, allowHttp, code) => {
  const start = () => startService({ queue: place, desk, authority, server, tls: undefined, listen, allowHttp });
  expect(await codeOfAsync(start)).toBe(code);
});

test("plain HTTP works on this machine when it is asked for, and a taken port is told", async () => {
  await using plain = await startService({ queue: place, desk, authority, server, tls: undefined, allowHttp: true });
  await using client = await ServiceClient.open({ url: plain.url, token: tokens.auditor });
  expect(await client.session()).toEqual({ name: "a-auditor", role: "auditor" });
  const listen = new URL(plain.url).host;
  const again = () => startService({ queue: place, desk, authority, server, listen });
  expect(await codeOfAsync(again)).toBe("service.listen-failed");
  const swapped = { certificate: server.certificate, key: authority.issue("other").key, clientAuthority: undefined };
  expect(await codeOfAsync(() => startService({ queue: place, desk, authority, server, tls: swapped }))).toBe(
    "service.tls-files",
  );
});

test("clients refuse a service whose certificate they do not know, and addresses that show a token", async () => {
  const session = async (url: string, trusted: string) => {
    await using client = await ServiceClient.open({ url, token: tokens.builder, authority: trusted });
    return await client.session();
  };
  const other = new TestAuthority(join(temp.path, "other"));
  expect(await codeOfAsync(() => session(service.url, other.certificate))).toBe("service.tls");
  expect(await codeOfAsync(() => session("https://127.0.0.1:1", authority.certificate))).toBe("service.unreachable");
  expect(await codeOfAsync(() => session("http://signer.example", authority.certificate))).toBe("service.url");
});
