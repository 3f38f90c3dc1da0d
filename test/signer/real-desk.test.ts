/** The service with a real policy, real keys and real images: from a build without keys to a sealed image. */
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { attachSeal } from "../../src/actions/seal/attach.ts";
import { type PrepareOptions, type PrepareReport, prepareSeal } from "../../src/actions/seal/prepare.ts";
import { fetchAudit, listServiceRequests } from "../../src/actions/signer-service/follow.ts";
import { openPolicyDesk } from "../../src/actions/signer-service/policy-desk.ts";
import { fetchSignatures, submitDirectory } from "../../src/actions/signer-service/submit.ts";
import { verifyImage } from "../../src/actions/verify/verify-image.ts";
import type { AuditEntry } from "../../src/formats/audit-log/index.ts";
import { makeSigningRequest } from "../../src/formats/signing-request/index.ts";
import { verifyAuditFile } from "../../src/model/audit-log/index.ts";
import { openTempDir, type TempDir } from "../../src/model/host-io/temp.ts";
import { loadCertificates } from "../../src/model/signing/index.ts";
import { addToken, openSigningQueue, type Role } from "../../src/model/signing-queue/index.ts";
import { storeSigningRequest } from "../../src/model/signing-request/index.ts";
import { type RequestDetails, type ServiceAddress, ServiceClient } from "../../src/model/signing-service/index.ts";
import { codeOfAsync } from "../code-of.ts";
import { type OsFiles, writeSmallOs } from "../small-os.ts";
import { TestApprover } from "./approver.ts";
import { type CertificateFiles, TestAuthority } from "./certificates.ts";
import { startService, type TestService } from "./start-service.ts";

const alice = new TestApprover("alice");
const bob = new TestApprover("bob");

let temp: TempDir;
let service: TestService;
let addresses: Readonly<Record<Role, ServiceAddress>>;
let log: CertificateFiles;
const at = (name: string): string => join(temp.path, name);

function makeRsa(name: string): void {
  const out = ["-keyout", at(`${name}.key`), "-out", at(`${name}.crt`)];
  const kind = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", `/CN=${name}`];
  execFileSync("openssl", ["req", ...kind, ...out], { stdio: "pipe" });
}

const writeOs = (image: string, version: number, files: OsFiles = {}) =>
  writeSmallOs(image, {
    files: { "usr/lib/os-release": `ID=small\nVERSION_ID=${version}\nPRETTY_NAME="Small OS ${version}"\n`, ...files },
  });

beforeAll(async () => {
  temp = await openTempDir();
  const authority = new TestAuthority(at("authority"));
  log = authority.issue("log");
  makeRsa("db");
  makeRsa("pcr");
  const inOut = ["-in", at("pcr.key"), "-pubout", "-out", at("pcr.pub")];
  execFileSync("openssl", ["pkey", ...inOut], { stdio: "pipe" });
  makeRsa("other");
  for (const { name, publicPem } of [alice, bob]) await writeFile(at(`${name}.pub`), publicPem);
  const policy = [
    `repositories = ["oci:${at("os")}"]`,
    `certificates = ["db.crt"]`,
    `pcr-keys = ["pcr.pub"]`,
    `lint = "off"`,
    `[approvals]`,
    `quorum = 2`,
    `approvers = { alice = "alice.pub", bob = "bob.pub" }`,
    `[audit]`,
    `log = "not-used-by-the-service.log"`,
    `key = "${log.keyPath}"`,
    `certificate = "${log.certificatePath}"`,
  ];
  await writeFile(at("policy.toml"), policy.join("\n"));
  const place = at("queue.db");
  const queue = await openSigningQueue(place);
  const add = (role: Role) => addToken(queue, { name: `a-${role}`, role }, new Date(), randomBytes);
  const tokens = { builder: await add("builder"), approver: await add("approver"), auditor: await add("auditor") };
  await queue[Symbol.asyncDispose]();
  service = await startService({
    queue: place,
    authority,
    server: authority.issue("server"),
    desk: undefined as never,
    openDesk: (queue) =>
      openPolicyDesk({
        policyPath: at("policy.toml"),
        key: at("db.key"),
        pcrKey: at("pcr.key"),
        signer: { certificatePath: at("db.crt"), env: {}, home: temp.path, now: new Date() },
        queue,
        cacheDirectory: at("cache"),
        now: () => new Date(),
      }),
  });
  const address = (token: string) => ({ url: service.url, token, authority: authority.certificate });
  addresses = {
    builder: address(tokens.builder),
    approver: address(tokens.approver),
    auditor: address(tokens.auditor),
  };
});

afterAll(async () => {
  await service?.stop();
  await temp?.[Symbol.asyncDispose]();
});

const prepare = (
  image: string,
  directory: string,
  certificate = "db.crt",
  options: Partial<PrepareOptions> = {},
): Promise<PrepareReport> =>
  prepareSeal(image, {
    directory: at(directory),
    to: `oci:${at("sealed")}:${directory}`,
    certificatePath: at(certificate),
    cacheDirectory: at("builder-cache"),
    created: new Date(),
    now: new Date(),
    tool: "sealwright test",
    ...options,
  });

const OVER = ["signed", "refused", "rejected", "expired"];

async function until(id: string, state: string): Promise<RequestDetails> {
  await using client = await ServiceClient.open(addresses.auditor);
  for (;;) {
    const found = await client.find(id);
    if (found.state === state) return found;
    if (OVER.includes(found.state)) throw new Error(`${found.state}: ${JSON.stringify(found.refusal)}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

async function approve(id: string, approvers: readonly TestApprover[] = [alice, bob]): Promise<void> {
  await using client = await ServiceClient.open(addresses.approver);
  for (const each of approvers) await client.decide(id, each.decide(id));
}

/** A round as builders and approvers go through it. */
async function signRound(directory: string, { request }: PrepareReport): Promise<RequestDetails> {
  await submitDirectory(at(directory), addresses.builder);
  const reviewed = await until(request.id, "waiting");
  await approve(request.id);
  await fetchSignatures(at(directory), { ...addresses.builder, wait: true });
  return reviewed;
}

async function readLog(name: string): Promise<AuditEntry[]> {
  await fetchAudit(at(name), { ...addresses.auditor, overwrite: false });
  const [certificate] = await loadCertificates([log.certificatePath]);
  const entries: AuditEntry[] = [];
  await verifyAuditFile(at(name), certificate?.publicKey as never, { onEntry: (entry) => entries.push(entry) });
  return entries;
}

test("an image is sealed without a key where it is built, and the next one is compared with it", async () => {
  const image = `oci:${at("os")}:1`;
  await writeOs(image, 1);
  const first = await prepare(image, "one");
  expect(first.request.round).toBe("boot-loader");
  await signRound("one", first);
  const second = await prepare(image, "one");
  expect(second.request.round).toBe("image");
  expect((await signRound("one", second)).review).toMatchObject({ diff: null, lint: null });
  const sealed = await attachSeal(at("one"), { certificatePath: at("db.crt") });
  const verdict = await verifyImage(sealed.destination, { certificates: [at("db.crt")], now: new Date() });
  expect(verdict.links.filter(({ status }) => status !== "holds")).toEqual([]);

  await writeOs(`oci:${at("os")}:2`, 2, { "usr/bin/new": "a program" });
  const next = await prepare(`oci:${at("os")}:2`, "two");
  // The boot loader is the same one: its signature is known.
  expect(next.request.round).toBe("image");
  const { review } = await signRound("two", next);
  expect(review?.verdicts.every(({ holds }) => holds)).toBe(true);
  const files = review?.diff?.sections.find(({ title }) => title === "files");
  expect(files?.rows).toContainEqual({ mark: "+", cells: ["/usr/bin/new", ""] });

  const entries = await readLog("signed.log");
  expect(entries.map(({ event, request, round }) => ({ event, request, round }))).toEqual([
    { event: "signed", request: first.request.id, round: "boot-loader" },
    { event: "signed", request: second.request.id, round: "image" },
    { event: "signed", request: next.request.id, round: "image" },
  ]);
  expect(
    entries
      .at(-1)
      ?.approvals.map(({ approver }) => approver)
      .sort(),
  ).toEqual(["alice", "bob"]);
  const listed = await listServiceRequests(["signed"], addresses.auditor);
  expect(listed.map(({ id }) => id)).toEqual([next.request.id, second.request.id, first.request.id]);
});

/** Submits and gives the code with which the service refuses. */
async function refusal(directory: string): Promise<string> {
  await submitDirectory(at(directory), addresses.builder);
  return await codeOfAsync(() => fetchSignatures(at(directory), { ...addresses.builder, wait: true }));
}

test("requests that the policy does not allow are refused, each by its code", async () => {
  await writeOs(`oci:${at("elsewhere")}:1`, 3);
  await prepare(`oci:${at("elsewhere")}:1`, "elsewhere-1");
  expect(await refusal("elsewhere-1")).toBe("policy.repository");
  await writeOs(`oci:${at("os")}:old`, 1);
  await prepare(`oci:${at("os")}:old`, "old");
  expect(await refusal("old")).toBe("policy.version-decreased");
  await writeOs(`oci:${at("os")}:4`, 4);
  await prepare(`oci:${at("os")}:4`, "other", "other.crt");
  expect(await refusal("other")).toBe("signing-request.other-signer");
  const entries = await readLog("refused.log");
  expect(entries.filter(({ event }) => event === "refused").map(({ refusal: why }) => why?.code)).toEqual([
    "policy.version-decreased",
  ]);
});

test("a request whose builder lies is refused: the image gives another one", async () => {
  const image = `oci:${at("os")}:5`;
  await writeOs(image, 5);
  const { request } = await prepare(image, "honest");
  const { id: _, schema: __, version: ___, ...content } = request;
  const commandLine = `${request.sealed.commandLine} init=/bin/sh`;
  const lie = makeSigningRequest({ ...content, sealed: { ...request.sealed, commandLine } });
  await storeSigningRequest(at("lie"), lie, new Map());
  expect(await refusal("lie")).toBe("signing-request.differs");
});

test("an image that was replaced after it was approved is not signed", async () => {
  const image = `oci:${at("os")}:6`;
  await writeOs(image, 6);
  const prepared = await prepare(image, "replaced");
  await submitDirectory(at("replaced"), addresses.builder);
  await until(prepared.request.id, "waiting");
  await approve(prepared.request.id, [alice]);
  await writeOs(image, 6, { "usr/bin/backdoor": "another program" });
  await approve(prepared.request.id, [bob]);
  const fetch = () => fetchSignatures(at("replaced"), { ...addresses.builder, wait: true });
  expect(await codeOfAsync(fetch)).toBe("signing-request.stale");
});

test("PCR policies are signed with their own key, in a round of their own", async () => {
  const image = `oci:${at("os")}:8`;
  await writeOs(image, 8);
  const again = () => prepare(image, "measured", "db.crt", { pcrPublicKeyPath: at("pcr.pub") });
  const rounds: string[] = [];
  for (let round = ""; round !== "image"; ) {
    const prepared = await again();
    round = prepared.request.round;
    rounds.push(round);
    await signRound("measured", prepared);
  }
  expect(rounds.slice(-2)).toEqual(["pcr-policies", "image"]);
  const sealed = await attachSeal(at("measured"), { certificatePath: at("db.crt") });
  const verdict = await verifyImage(sealed.destination, { certificates: [at("db.crt")], now: new Date() });
  expect(verdict.holds).toBe(true);
});

test("a request waits while the policy is broken, and goes on when it is mended", async () => {
  const policy = await readFile(at("policy.toml"));
  const image = `oci:${at("os")}:9`;
  await writeOs(image, 9);
  const { request } = await prepare(image, "patient");
  await writeFile(at("policy.toml"), "repositories = [");
  await submitDirectory(at("patient"), addresses.builder);
  await using client = await ServiceClient.open(addresses.auditor);
  let found = await client.find(request.id);
  while (found.refusal === null) found = await client.find(request.id);
  expect(found).toMatchObject({ state: "reviewing", refusal: { code: "service.out-of-order" } });
  expect(JSON.stringify(found)).not.toContain(temp.path.concat("/policy"));
  await writeFile(at("policy.toml"), policy);
  await until(request.id, "waiting");
});

test("a service without a key for its log does not start", async () => {
  const text = [`repositories = ["*"]`, `certificates = ["db.crt"]`];
  await writeFile(at("no-audit.toml"), text.join("\n"));
  const open = () =>
    openPolicyDesk({
      policyPath: at("no-audit.toml"),
      key: at("db.key"),
      signer: { certificatePath: at("db.crt"), env: {}, home: temp.path, now: new Date() },
      queue: undefined as never,
      now: () => new Date(),
    });
  expect(await codeOfAsync(open)).toBe("service.audit-missing");
});
