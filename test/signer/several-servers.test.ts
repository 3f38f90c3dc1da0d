/** Several servers in processes of their own share a queue; many clients talk to all of them at once. */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openTempDir, type TempDir } from "../../src/model/host-io/temp.ts";
import { addToken, openSigningQueue, streamAudit } from "../../src/model/signing-queue/index.ts";
import { ServiceClient } from "../../src/model/signing-service/index.ts";
import { codeOfAsync } from "../code-of.ts";
import { startPostgres, type TestPostgres } from "../tools/postgres.ts";
import { TestApprover } from "./approver.ts";
import { TestAuthority } from "./certificates.ts";
import { makeTestRequest } from "./stand-in.ts";

let temp: TempDir;
let postgres: TestPostgres;
let authority: TestAuthority;

beforeAll(async () => {
  temp = await openTempDir();
  postgres = await startPostgres();
  authority = new TestAuthority(join(temp.path, "authority"));
  authority.issue("server");
});

afterAll(async () => {
  await postgres?.[Symbol.asyncDispose]();
  await temp?.[Symbol.asyncDispose]();
});

const SERVER = fileURLToPath(new URL("server-process.ts", import.meta.url));
const approvers = Array.from({ length: 6 }, (_, index) => new TestApprover(`approver-${index}`));

interface ServerProcess extends AsyncDisposable {
  readonly url: string;
  /** Requests that it signed, or began to. */
  readonly signed: readonly string[];
}

async function startServer(queue: string, fate = ""): Promise<ServerProcess> {
  const keys = JSON.stringify(approvers.map(({ key, name }) => [name, Buffer.from(key.spki).toString("base64")]));
  const args = ["--disable-warning=ExperimentalWarning", SERVER, queue, join(temp.path, "authority"), keys, fate];
  const child: ChildProcess = spawn(process.execPath, args, {
    stdio: ["ignore", "pipe", "pipe"],
    // One that is killed leaves what it was working on.
    env: { ...process.env, TMPDIR: temp.path },
  });
  const signed: string[] = [];
  const errors: string[] = [];
  const listening = Promise.withResolvers<string>();
  let rest = "";
  child.stderr?.on("data", (chunk: Buffer) => errors.push(chunk.toString()));
  child.stdout?.on("data", (chunk: Buffer) => {
    const lines = `${rest}${chunk.toString()}`.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const [what, value = ""] = line.split(" ");
      if (what === "listening") listening.resolve(value);
      else signed.push(value);
    }
  });
  child.once("exit", () => listening.reject(new Error(errors.join(""))));
  return {
    url: await listening.promise,
    signed,
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGTERM");
      await once(child, "exit");
    },
  };
}

/** A queue, and a client of each of some servers for a builder and for an approver. */
async function addClients(place: string) {
  const queue = await openSigningQueue(place);
  const builder = await addToken(queue, { name: "builder", role: "builder" }, new Date(), randomBytes);
  const approver = await addToken(queue, { name: "approver", role: "approver" }, new Date(), randomBytes);
  const open = (token: string) => (url: string) => ServiceClient.open({ url, token, authority: authority.certificate });
  return { queue, openBuilder: open(builder), openApprover: open(approver) };
}

const REQUESTS = 6;

test.each(["postgres", "sqlite"] as const)("three servers on one %s: each request is signed once", async (kind) => {
  const place = kind === "sqlite" ? join(temp.path, "queue.db") : postgres.createDatabase("several");
  const { openApprover, openBuilder, queue } = await addClients(place);
  const servers = await Promise.all([startServer(place), startServer(place), startServer(place)]);
  const builders = await Promise.all(servers.map(({ url }) => openBuilder(url)));
  const deciders = await Promise.all(servers.map(({ url }) => openApprover(url)));
  try {
    const requests = Array.from({ length: REQUESTS }, (_, index) => makeTestRequest(`registry.example/os:${index}`));
    // Everybody submits everything, everywhere.
    await Promise.all(requests.flatMap(({ document }) => builders.map((client) => client.submit(document))));
    for (const { id } of requests) await untilState(builders[0] as ServiceClient, id, "waiting");

    // Every approver approves everything, at each server: 6 approvals of 3 servers for each request.
    const codes = await Promise.all(
      requests.flatMap(({ id }) =>
        approvers.flatMap((each) => deciders.map((client) => codeOfAsync(() => client.decide(id, each.decide(id))))),
      ),
    );
    expect(codes.filter((code) => code === "accepted")).toHaveLength(3 * REQUESTS);
    expect(new Set(codes)).toEqual(new Set(["accepted", "service.already-decided", "service.request-state"]));
    for (const { id } of requests) await untilState(builders[1] as ServiceClient, id, "signed");

    const all = requests.map(({ id }) => id).sort();
    expect(servers.flatMap(({ signed }) => signed).sort()).toEqual(all);
    const log: { sequence: number; signed: string }[] = [];
    for await (const line of streamAudit(queue)) log.push(JSON.parse(line) as { sequence: number; signed: string });
    expect(log.map(({ signed }) => signed).sort()).toEqual(all);
    expect(log.map(({ sequence }) => sequence)).toEqual(all.map((_, index) => index));
    for (const { id } of requests) expect((await (builders[2] as ServiceClient).find(id)).decisions).toHaveLength(3);
  } finally {
    for (const each of [...builders, ...deciders, ...servers, queue]) await each[Symbol.asyncDispose]();
  }
});

test("a server that dies while it signs loses nothing: another one signs, and the log has it once", async () => {
  const place = postgres.createDatabase("dying");
  const { openApprover, openBuilder, queue } = await addClients(place);
  await using _ = queue;
  const { document, id } = makeTestRequest("registry.example/os:dying");
  await using dying = await startServer(place, "die");
  await using builder = await openBuilder(dying.url);
  await using decider = await openApprover(dying.url);
  await builder.submit(document);
  await untilState(builder, id, "waiting");
  for (const each of approvers.slice(0, 3)) await decider.decide(id, each.decide(id));
  // Nobody else is there until it is dead, so it is the one that had the job.
  while (dying.signed.length === 0) await pause();
  await using other = await startServer(place);
  await using later = await openBuilder(other.url);
  await untilState(later, id, "signed");
  expect(dying.signed).toEqual([id]);
  expect(other.signed).toEqual([id]);
  const lines: string[] = [];
  for await (const line of streamAudit(queue)) lines.push(line);
  expect(lines).toHaveLength(1);
  expect((await later.signatures(id)).signatures).toHaveLength(1);
});

const pause = () => new Promise((resolve) => setTimeout(resolve, 20));

async function untilState(client: ServiceClient, id: string, state: string): Promise<void> {
  for (;;) {
    const found = await client.find(id);
    if (found.state === state) return;
    if (found.refusal !== null) throw new Error(`${found.state}: ${found.refusal.message}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
