import { createHash, randomBytes } from "node:crypto";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { codeOfAsync } from "../../../test/code-of.ts";
import { startPostgres, type TestPostgres } from "../../../test/tools/postgres.ts";
import { openTempDir, type TempDir } from "../host-io/temp.ts";
import {
  addCertificate,
  addToken,
  authenticateCertificate,
  authenticateToken,
  claimJob,
  decideRequest,
  expireRequests,
  finishReview,
  finishSigning,
  type Job,
  listAccess,
  listRequests,
  loadRequest,
  openSigningQueue,
  refuseJob,
  releaseJob,
  renewJob,
  revokeAccess,
  type SigningQueue,
  storeRequestFile,
  streamAudit,
  streamRequestFile,
  submitRequest,
} from "./index.ts";

let temp: TempDir;
let postgres: TestPostgres;

beforeAll(async () => {
  temp = await openTempDir();
  postgres = await startPostgres();
});

afterAll(async () => {
  await postgres?.[Symbol.asyncDispose]();
  await temp?.[Symbol.asyncDispose]();
});

const NOON = new Date("2026-11-21T12:00:00Z");
const at = (minutes: number): Date => new Date(NOON.getTime() + minutes * 60_000);
const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

let names = 0;

/** A place for a queue that nobody has used. */
const places = {
  sqlite: () => join(temp.path, `queue-${names++}.db`),
  postgres: () => postgres.createDatabase(`queue_${names++}`),
};

// oxlint-disable-next-line require-await -- a stream
async function* pieces(...parts: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* parts;
}

async function gather<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const each of stream) all.push(each);
  return all;
}

const readAll = async (stream: AsyncIterable<Uint8Array>): Promise<Buffer> => Buffer.concat(await gather(stream));

const submit = (queue: SigningQueue, id: string, files: Record<string, Uint8Array> = {}, minutes = 0) =>
  submitRequest(
    queue,
    {
      id,
      document: Buffer.from(`{"id":"${id}"}`),
      image: "registry.example/os:1",
      builder: "ci",
      files: Object.entries(files).map(([name, bytes]) => ({ name, size: bytes.length, sha256: sha256(bytes) })),
      expiresAt: at(minutes + 60),
    },
    at(minutes),
  );

const LEASE = 60_000;

async function claim(queue: SigningQueue, owner = "worker", minutes = 0): Promise<Job> {
  const job = await claimJob(queue, owner, at(minutes), LEASE);
  if (job === undefined) throw new Error("there is no job");
  return job;
}

async function reviewed(queue: SigningQueue, id: string, quorum: number): Promise<void> {
  await submit(queue, id);
  await finishReview(queue, await claim(queue), { review: { lint: [] }, quorum });
}

const approve = (queue: SigningQueue, id: string, approver: string, minutes = 1) =>
  decideRequest(queue, id, { approver, verdict: "approved", document: Buffer.from(approver) }, at(minutes));

const auditLine = (text: string) => async (last: string | undefined, sequence: number) => {
  await Promise.resolve();
  return `${sequence} ${last?.split(" ").at(-1) ?? "-"} ${text}`;
};

const stateOf = async (queue: SigningQueue, id: string) => (await loadRequest(queue, id)).state;

describe.each(["sqlite", "postgres"] as const)("a queue on %s", (kind) => {
  test("a request goes from its files to its signatures, and everything is there", async () => {
    await using queue = await openSigningQueue(places[kind]());
    const uki = randomBytes(2_500_000);
    const loader = Buffer.from("loader");
    expect(await submit(queue, "one", { uki, loader })).toEqual({ created: true });
    expect(await submit(queue, "one", { uki, loader })).toEqual({ created: false });
    expect(await claimJob(queue, "worker", at(0), LEASE)).toBeUndefined();
    expect((await loadRequest(queue, "one")).missing).toEqual(["loader", "uki"]);
    await storeRequestFile(queue, "one", "uki", pieces(uki.subarray(0, 7), uki.subarray(7)), () => at(0));
    await storeRequestFile(queue, "one", "loader", pieces(loader), () => at(0));
    await storeRequestFile(queue, "one", "loader", pieces(loader), () => at(0));
    expect((await readAll(streamRequestFile(queue, "one", "uki"))).equals(uki)).toBe(true);

    await finishReview(queue, await claim(queue), { review: { lint: ["?"] }, quorum: 2 });
    expect(await approve(queue, "one", "ann")).toBe("waiting");
    expect(await approve(queue, "one", "bob")).toBe("signing");
    await finishSigning(queue, await claim(queue), { uki: "c2ln" }, auditLine("signed one"));

    const request = await loadRequest(queue, "one");
    expect(request).toMatchObject({
      state: "signed",
      quorum: 2,
      builder: "ci",
      review: { lint: ["?"] },
      result: { uki: "c2ln" },
      missing: [],
      submittedAt: at(0),
    });
    expect(Buffer.from(request.document).toString()).toBe('{"id":"one"}');
    expect(
      request.decisions.map(({ approver, document }) => [approver, Buffer.from(document ?? []).toString()]),
    ).toEqual([
      ["ann", "ann"],
      ["bob", "bob"],
    ]);
    expect(await gather(streamAudit(queue))).toEqual(["0 - signed one"]);
    await expireRequests(queue, at(120));
    expect(await codeOfAsync(() => readAll(streamRequestFile(queue, "one", "uki")))).toBe("service.file-unknown");
    expect(await queue.db.selectFrom("file_chunk").select("position").execute()).toEqual([]);
  });

  test("without a quorum the review is followed by signing", async () => {
    await using queue = await openSigningQueue(places[kind]());
    await reviewed(queue, "one", 0);
    expect(await claim(queue)).toMatchObject({ id: "one", state: "signing", attempt: 1 });
  });

  test("what does not fit is refused, each by its code", async () => {
    await using queue = await openSigningQueue(places[kind]());
    const file = Buffer.from("file");
    await submit(queue, "files", { file });
    const store = (name: string, ...parts: Uint8Array[]) =>
      codeOfAsync(() => storeRequestFile(queue, "files", name, pieces(...parts), () => at(0)));
    expect(await store("other", file)).toBe("service.file-unknown");
    expect(await store("file", Buffer.from("fill"))).toBe("service.file-differs");
    expect(await store("file", file, file)).toBe("service.file-differs");
    expect(await store("file", Buffer.from("fil"))).toBe("service.file-differs");
    expect(await store("file", file)).toBe("accepted");
    await finishReview(queue, await claim(queue), { review: {}, quorum: 2 });

    await approve(queue, "files", "ann");
    expect(await codeOfAsync(() => approve(queue, "files", "ann"))).toBe("service.already-decided");
    const reject = () =>
      decideRequest(queue, "files", { approver: "ann", verdict: "rejected", document: Buffer.from("no") }, at(1));
    expect(await codeOfAsync(reject)).toBe("service.already-decided");
    expect(await codeOfAsync(() => approve(queue, "none", "ann"))).toBe("service.request-unknown");
    expect(await codeOfAsync(() => loadRequest(queue, "none"))).toBe("service.request-unknown");
    await submit(queue, "early", { file });
    expect(await codeOfAsync(() => approve(queue, "early", "ann"))).toBe("service.request-state");
  });

  test("a rejection is final, what was refused or has expired may come again", async () => {
    await using queue = await openSigningQueue(places[kind]());
    await reviewed(queue, "rejected", 2);
    await approve(queue, "rejected", "ann");
    const bob = { approver: "bob", verdict: "rejected", reason: "two kernels", document: Buffer.from("no") } as const;
    expect(await decideRequest(queue, "rejected", bob, at(1))).toBe("rejected");
    expect(await codeOfAsync(() => approve(queue, "rejected", "cid"))).toBe("service.request-state");
    expect(await submit(queue, "rejected")).toEqual({ created: false });
    expect((await loadRequest(queue, "rejected")).decisions.at(-1)).toMatchObject({ reason: "two kernels" });

    await submit(queue, "refused");
    const refusal = { code: "policy.repository", message: "not allowed" };
    await refuseJob(queue, await claim(queue), refusal, auditLine("refused refused"));
    expect(await loadRequest(queue, "refused")).toMatchObject({ state: "refused", refusal });
    expect(await submit(queue, "refused")).toEqual({ created: true });
    expect(await loadRequest(queue, "refused")).toMatchObject({ state: "reviewing", refusal: undefined });

    await finishReview(queue, await claim(queue), { review: {}, quorum: 2 });
    await approve(queue, "refused", "ann");
    expect(await codeOfAsync(() => approve(queue, "refused", "bob", 61))).toBe("service.request-expired");
    expect(await stateOf(queue, "refused")).toBe("expired");
    expect(await submit(queue, "refused", {}, 62)).toEqual({ created: true });
    expect(await loadRequest(queue, "refused")).toMatchObject({ state: "reviewing", decisions: [] });
  });

  test("expireRequests() ends what waits, and leaves what is being signed", async () => {
    await using queue = await openSigningQueue(places[kind]());
    await reviewed(queue, "waiting", 1);
    await reviewed(queue, "signing", 0);
    await submit(queue, "receiving", { file: Buffer.from("file") });
    expect(await expireRequests(queue, at(59))).toBe(0);
    expect(await expireRequests(queue, at(60))).toBe(2);
    const listed = await listRequests(queue, { limit: 10 });
    expect(Object.fromEntries(listed.map(({ id, state }) => [id, state]))).toEqual({
      signing: "signing",
      waiting: "expired",
      receiving: "expired",
    });
    expect((await listRequests(queue, { states: ["signing"], limit: 10 })).map(({ id }) => id)).toEqual(["signing"]);
  });

  test("a lease that ended is taken over, and its late owner can do nothing", async () => {
    await using queue = await openSigningQueue(places[kind]());
    await reviewed(queue, "one", 0);
    const dead = await claim(queue, "first");
    expect(await claimJob(queue, "second", at(0), LEASE)).toBeUndefined();
    await renewJob(queue, dead, at(1), LEASE);
    expect(await claimJob(queue, "second", at(1), LEASE)).toBeUndefined();
    const job = await claim(queue, "second", 3);
    expect(job.attempt).toBe(2);
    const late = auditLine("by the first");
    expect(await codeOfAsync(() => renewJob(queue, dead, at(3), LEASE))).toBe("service.lease-lost");
    expect(await codeOfAsync(() => finishSigning(queue, dead, {}, late))).toBe("service.lease-lost");
    expect(await codeOfAsync(() => refuseJob(queue, dead, { code: "x", message: "x" }, late))).toBe(
      "service.lease-lost",
    );
    await finishSigning(queue, job, { by: "second" }, auditLine("by the second"));
    expect(await codeOfAsync(() => finishSigning(queue, job, {}, late))).toBe("service.lease-lost");
    expect((await loadRequest(queue, "one")).result).toEqual({ by: "second" });
    expect(await gather(streamAudit(queue))).toEqual(["0 - by the second"]);
  });

  test("a job given back waits, and says why", async () => {
    await using queue = await openSigningQueue(places[kind]());
    await submit(queue, "one");
    await releaseJob(queue, await claim(queue), { code: "registry.unavailable", message: "down" }, at(0), 120_000);
    expect(await claimJob(queue, "worker", at(1), LEASE)).toBeUndefined();
    expect((await loadRequest(queue, "one")).refusal?.code).toBe("registry.unavailable");
    expect((await claim(queue, "worker", 2)).attempt).toBe(2);
  });

  test("the database itself refuses what the program must not do", async () => {
    await using queue = await openSigningQueue(places[kind]());
    await reviewed(queue, "one", 1);
    const { db } = queue;
    await expect(db.updateTable("request").set({ state: "reviewing" }).execute()).rejects.toThrow(/not allowed/);
    await expect(db.updateTable("request").set({ result: "{}" }).execute()).rejects.toThrow(/constraint/i);
    await approve(queue, "one", "ann");
    await finishSigning(queue, await claim(queue), {}, auditLine("signed"));
    await expect(db.updateTable("request").set({ result: "[]" }).execute()).rejects.toThrow(/do not change/);
    await expect(db.deleteFrom("audit").execute()).rejects.toThrow(/only grows/);
    await expect(db.updateTable("audit").set({ line: "" }).execute()).rejects.toThrow(/only grows/);
  });

  test("access is by token or certificate, kept as hashes, and ends", async () => {
    await using queue = await openSigningQueue(places[kind]());
    const token = await addToken(queue, { name: "ci", role: "builder" }, at(0), randomBytes);
    await addCertificate(queue, { name: "ann", role: "approver" }, at(0), Buffer.from("certificate"));
    expect(token).toMatch(/^swt_ci\.[A-Za-z0-9_-]{43}$/);
    const { rows } = await sql`select * from access`.execute(queue.db);
    expect(JSON.stringify(rows)).not.toContain(token.slice(-43));
    expect(await authenticateToken(queue, token)).toEqual({ name: "ci", role: "builder" });
    expect(await authenticateCertificate(queue, Buffer.from("certificate"))).toEqual({ name: "ann", role: "approver" });
    expect(await codeOfAsync(() => addToken(queue, { name: "ci", role: "auditor" }, at(0), randomBytes))).toBe(
      "service.access.exists",
    );
    expect(await codeOfAsync(() => addToken(queue, { name: "c i", role: "auditor" }, at(0), randomBytes))).toBe(
      "service.access.name",
    );
    const wrong = [`${token.slice(0, -1)}${token.endsWith("A") ? "B" : "A"}`, token.replace("ci", "cj"), "", "swt_ci."];
    for (const each of wrong)
      expect(await codeOfAsync(() => authenticateToken(queue, each))).toBe("service.token-wrong");
    expect(await codeOfAsync(() => authenticateToken(queue, `swt_ann.${"A".repeat(43)}`))).toBe("service.token-wrong");
    expect(await codeOfAsync(() => authenticateCertificate(queue, Buffer.from("other")))).toBe(
      "service.certificate-unknown",
    );
    await revokeAccess(queue, "ci", at(1));
    expect(await codeOfAsync(() => authenticateToken(queue, token))).toBe("service.access-revoked");
    expect(await codeOfAsync(() => revokeAccess(queue, "ci", at(1)))).toBe("service.access.unknown");
    expect(await listAccess(queue)).toEqual([
      { name: "ann", role: "approver", kind: "certificate", addedAt: at(0), revokedAt: undefined },
      { name: "ci", role: "builder", kind: "token", addedAt: at(0), revokedAt: at(1) },
    ]);
  });

  test("several processes at once: nothing is lost, nothing is signed twice", async () => {
    const place = places[kind]();
    // Opened at once: each finds tables to make.
    const queues = await Promise.all(Array.from({ length: 4 }, () => openSigningQueue(place)));
    const each = <T>(work: (queue: SigningQueue, index: number) => Promise<T>) =>
      Promise.all(Array.from({ length: 40 }, (_, index) => work(queues[index % 4] as SigningQueue, index)));
    const ids = Array.from({ length: 10 }, (_, index) => `request-${index}`);

    const file = randomBytes(1000);
    const submitted = await each((queue, index) => submit(queue, ids[index % 10] as string, { file }));
    expect(submitted.filter(({ created }) => created)).toHaveLength(10);
    await each((queue, index) => storeRequestFile(queue, ids[index % 10] as string, "file", pieces(file), () => at(0)));

    const reviews = (await each((queue, index) => claimJob(queue, `worker-${index}`, at(0), LEASE))).flatMap(
      (job) => job ?? [],
    );
    expect(reviews.map(({ id }) => id).sort()).toEqual([...ids].sort());
    await Promise.all(
      reviews.map((job, index) => finishReview(queues[index % 4] as SigningQueue, job, { review: {}, quorum: 3 })),
    );

    // Each approver four times, through four processes: one of them counts.
    const approvals = await each((queue, index) =>
      codeOfAsync(() => approve(queue, ids[0] as string, `approver-${index % 10}`)),
    );
    const accepted = approvals.filter((code) => code === "accepted");
    expect(accepted).toHaveLength(3);
    expect(new Set(approvals)).toEqual(new Set(["accepted", "service.already-decided", "service.request-state"]));
    for (const id of ids.slice(1)) {
      await Promise.all(["ann", "bob", "cid"].map((name, index) => approve(queues[index] as SigningQueue, id, name)));
    }

    const outcomes = await each(async (queue, index) => {
      const signed: string[] = [];
      for (;;) {
        const job = await claimJob(queue, `worker-${index}`, at(2), LEASE);
        if (job === undefined) return signed;
        await finishSigning(queue, job, { by: index }, auditLine(`signed:${job.id}`));
        signed.push(job.id);
      }
    });
    expect(outcomes.flat().sort()).toEqual([...ids].sort());
    const [queue] = queues as [SigningQueue];
    const lines = await gather(streamAudit(queue));
    expect(new Set(lines.map((line) => line.split(":").at(-1)))).toEqual(new Set(ids));
    expect(lines).toHaveLength(ids.length);
    // Each line was made after the one before it.
    lines.forEach((line, index) =>
      expect(line.split(" ").slice(0, 2)).toEqual([String(index), lines[index - 1]?.split(" ").at(-1) ?? "-"]),
    );
    for (const open of queues) await open[Symbol.asyncDispose]();
  });
});

test("openSigningQueue() makes a file for its owner alone", async () => {
  const place = places.sqlite();
  await using queue = await openSigningQueue(place);
  await submit(queue, "one");
  for (const name of [place, `${place}-wal`]) expect((await stat(name)).mode & 0o777).toBe(0o600);
});

test.each([
  ["mysql://host/db", "queue.place"],
  ["/nowhere/queue.db", "input.not-found"],
  ["postgres://127.0.0.1:1/db", "queue.unavailable"],
])("openSigningQueue(%j) is refused", async (place, code) => {
  expect(await codeOfAsync(() => openSigningQueue(place))).toBe(code);
});

test("openSigningQueue() refuses a file that is no database, and one of a later program", async () => {
  const { writeFile } = await import("node:fs/promises");
  const place = places.sqlite();
  await writeFile(place, "no database at all, but long enough to be looked at as one".repeat(20));
  expect(await codeOfAsync(() => openSigningQueue(place))).toBe("queue.unavailable");
  const later = places.sqlite();
  const queue = await openSigningQueue(later);
  await sql`update schema_version set version = 99`.execute(queue.db);
  await queue[Symbol.asyncDispose]();
  expect(await codeOfAsync(() => openSigningQueue(later))).toBe("queue.schema.newer");
});

test("openSigningQueue() says what is missing where PostgreSQL has no client", async () => {
  vi.doMock("pg", () => {
    throw new Error("Cannot find package 'pg'");
  });
  try {
    expect(await codeOfAsync(() => openSigningQueue("postgres://localhost/queue"))).toBe("queue.pg-missing");
  } finally {
    vi.doUnmock("pg");
  }
});
