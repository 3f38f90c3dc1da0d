import { generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { codeOfAsync } from "../../../test/code-of.ts";
import { KERNEL_VERSION, type SmallOs, writeSmallOs } from "../../../test/small-os.ts";
import { stubPath } from "../../../test/tools/ukify.ts";
import { hashDocument, parseSigningRequest } from "../../formats/signing-request/index.ts";
import { buildUki } from "../../formats/uki/index.ts";
import { buildCertificate, encodePem } from "../../formats/x509/index.ts";
import { verifyAudit } from "../audit/verify-audit.ts";
import { generateKeys } from "../keys/generate-keys.ts";
import { attachSeal } from "../seal/attach.ts";
import { type PrepareOptions, prepareSeal } from "../seal/prepare.ts";
import { sealImage } from "../seal/seal-image.ts";
import { type ApproveOptions, approveRequest } from "./approve.ts";
import { type SignRequestOptions, signRequest } from "./sign-request.ts";

const NOW = new Date("2026-06-01T00:00:00Z");
const UKI = `${KERNEL_VERSION}.efi`;

let directory: string;
/** Of the builder: no key in it is used but by the signer. */
let cacheDirectory: string;
let keys: string;
let count = 0;

const key = (name: string) => join(keys, name);
const place = (name: string) => join(directory, `${name}-${count++}`);

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "sealwright-sign-request-"));
  [keys, cacheDirectory] = [join(directory, "keys"), join(directory, "cache")];
  await generateKeys({ directory: keys, now: new Date("2026-01-01T00:00:00Z"), randomBytes });
  for (const name of ["alice", "bob", "mallory"]) {
    const pair =
      name === "bob"
        ? generateKeyPairSync("rsa", { modulusLength: 2048 })
        : generateKeyPairSync("ec", { namedCurve: "P-256" });
    await writeFile(key(`${name}.key`), pair.privateKey.export({ format: "pem", type: "pkcs8" }), { mode: 0o600 });
    await writeFile(key(`${name}.pub`), pair.publicKey.export({ format: "pem", type: "spki" }));
  }
  const audit = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const certificate = await buildCertificate(
    {
      subject: { commonName: "audit" },
      serial: 1n,
      notBefore: new Date("2026-01-01T00:00:00Z"),
      notAfter: new Date("2036-01-01T00:00:00Z"),
      publicKey: audit.publicKey.export({ format: "der", type: "spki" }),
      use: "signature",
    },
    async (message) => sign("sha256", message, audit.privateKey),
  );
  await writeFile(key("audit.crt"), encodePem("CERTIFICATE", certificate.der));
  await writeFile(key("audit.key"), audit.privateKey.export({ format: "pem", type: "pkcs8" }), { mode: 0o600 });
  // The first round, once for all tests.
  const first = place("request");
  await prepare(await newOs(), first);
  await signRequest(first, signing());
  await prepare(await newOs(), first);
});

afterAll(() => rm(directory, { recursive: true, force: true }));

async function newOs(os: SmallOs = {}, at = place("os")): Promise<string> {
  await writeSmallOs(`oci:${at}`, os);
  return `oci:${at}`;
}

async function prepare(os: string, request: string, more: Partial<PrepareOptions> = {}) {
  return await prepareSeal(os, {
    directory: request,
    certificatePath: key("db.crt"),
    created: NOW,
    now: NOW,
    tool: "sealwright test",
    cacheDirectory,
    ...more,
  });
}

async function prepared(os: SmallOs = {}, more: Partial<PrepareOptions> = {}): Promise<string> {
  const request = place("request");
  await prepare(await newOs(os), request, more);
  return request;
}

const signing = (more: Partial<SignRequestOptions> = {}): SignRequestOptions => ({
  key: key("db.key"),
  now: NOW,
  ...more,
});

const BASE = { repositories: '["oci:**"]', certificates: '["../keys/db.crt"]', lint: '"off"' };

/** A policy in a directory of its own, beside its log. */
async function newPolicy(rules: Readonly<Record<string, string>> = {}, tables = ""): Promise<string> {
  const home = place("policy");
  await cp(keys, home, { recursive: true });
  const lines = Object.entries({ ...BASE, ...rules }).map(([name, value]) => `${name} = ${value}`);
  await writeFile(join(home, "policy.toml"), `${lines.join("\n")}\n${tables}\n`);
  return join(home, "policy.toml");
}

const AUDIT = '[audit]\nlog = "audit.jsonl"\nkey = "audit.key"\ncertificate = "audit.crt"\n';
const APPROVERS = 'approvers = { alice = "alice.pub", bob = "bob.pub" }';
const logOf = (policyPath: string) => join(policyPath, "../audit.jsonl");

const approve = (request: string, name: string, more: Partial<ApproveOptions> = {}) =>
  approveRequest(request, { key: key(`${name}.key`), approver: name, decision: "approve", now: NOW, ...more });

const signatures = async (request: string) => await readdir(join(request, "signatures"));

test("without a policy, what was prepared is signed, and attached it is the seal in one", async () => {
  const os = await newOs();
  const request = place("request");
  const builder = { cacheDirectory: place("cache") };
  expect((await prepare(os, request, builder)).request.round).toBe("boot-loader");
  expect((await signRequest(request, signing())).signed).toEqual(["systemd-bootx64.efi"]);
  expect((await prepare(os, request, builder)).request.round).toBe("image");
  expect((await signRequest(request, signing({ certificatePath: key("db.crt") }))).signed).toEqual([UKI]);
  const [one, two] = [`oci:${place("one")}`, `oci:${place("two")}`];
  const attached = await attachSeal(request, { to: two });
  const sealed = await sealImage(os, { to: one, key: key("db.key"), certificatePath: key("db.crt"), now: NOW });
  expect(attached.manifestDigest).toBe(sealed.manifestDigest);
});

test("with a policy, what was approved is signed and written down, and the next one is compared with it", async () => {
  const policyPath = await newPolicy(
    { targets: '["quay.io/example/*"]', "max-age": '"1h"' },
    `[kernel-arguments]\nrequired = ["rw"]\nforbidden = ["init=**"]\n[approvals]\nquorum = 2\n${APPROVERS}\n${AUDIT}`,
  );
  const to = "quay.io/example/os:1";
  const request = await prepared({}, { to });
  await approve(request, "alice");
  await approve(request, "bob", { reason: "the update of Tuesday" });
  const report = await signRequest(request, signing({ policyPath }));
  expect(report.review).toMatchObject({ holds: true, last: null, diff: null, name: "quay.io/example/os" });
  expect(report.signed).toEqual([UKI]);

  const later = await prepared({ files: { "etc/hostname": "changed\n" } }, { to: "quay.io/example/os:2" });
  for (const name of ["alice", "bob"]) await approve(later, name);
  const next = await signRequest(later, signing({ policyPath }));
  expect(next.review?.diff?.files.changes.map(({ path }) => path)).toContain("/etc/hostname");
  expect(next.review?.last).toMatchObject({ manifestDigest: report.request.image.manifestDigest, version: "1.2" });
  expect(next.audit).toMatchObject({ sequence: 1 });

  const audit = await verifyAudit(logOf(policyPath), { certificatePath: key("audit.crt") });
  expect(audit.entries).toMatchObject([
    {
      event: "signed",
      request: report.request.id,
      name: "quay.io/example/os",
      approvals: [{ approver: "alice" }, { approver: "bob" }],
      items: [{ role: "uki", name: UKI }],
    },
    { request: next.request.id },
  ]);
});

test("the first round is held against the policy too, and is nothing to compare an image with", async () => {
  const policyPath = await newPolicy({}, `[kernel-arguments]\nrequired = ["rw"]\n${AUDIT}`);
  const os = await newOs();
  const request = place("request");
  const builder = { cacheDirectory: place("cache") };
  await prepare(os, request, builder);
  expect((await signRequest(request, signing({ policyPath }))).signed).toEqual(["systemd-bootx64.efi"]);
  await prepare(os, request, builder);
  const second = await signRequest(request, signing({ policyPath }));
  expect(second.review?.last).toBeNull();
  expect(second.audit).toMatchObject({ sequence: 1 });
});

async function addon(commandLine: string): Promise<string> {
  const stub = await readFile(await stubPath("262-x64", "addon"));
  const { bytes } = await buildUki(stub, { cmdline: Buffer.from(commandLine) });
  const file = join(directory, "more.addon.efi");
  await writeFile(file, bytes);
  return file;
}

describe("a policy refuses, and nothing is signed", () => {
  type Case = {
    readonly rules?: Readonly<Record<string, string>>;
    readonly tables?: string;
    readonly os?: SmallOs;
    readonly prepare?: () => Promise<Partial<PrepareOptions>>;
    readonly sign?: Partial<SignRequestOptions>;
  };
  const cases: [string, Case, string][] = [
    ["an image from elsewhere", { rules: { repositories: '["quay.io/example/*"]' } }, "policy.repository"],
    [
      "a name for another place",
      { rules: { targets: '["quay.io/**"]' }, prepare: async () => ({ to: "oci:/srv/os" }) },
      "policy.target",
    ],
    ["no name where one is needed", { rules: { targets: '["quay.io/**"]' } }, "policy.target"],
    ["another certificate", { rules: { certificates: `["sha256:${"0".repeat(64)}"]` } }, "policy.certificate"],
    [
      "an old request",
      { rules: { "max-age": '"1h"' }, sign: { now: new Date("2026-06-01T01:00:01Z") } },
      "policy.too-old",
    ],
    ["a request from the future", { sign: { now: new Date("2026-05-31T00:00:00Z") } }, "policy.from-future"],
    [
      "an argument that is missing",
      { tables: '[kernel-arguments]\nrequired = ["lockdown=*"]' },
      "policy.kernel-argument-missing",
    ],
    [
      "an argument that is forbidden",
      {
        tables: '[kernel-arguments]\nforbidden = ["init=**"]',
        prepare: async () => ({ kernelArguments: ["init=/bin/sh"] }),
      },
      "policy.kernel-argument-forbidden",
    ],
    [
      "an argument that an addon brings",
      {
        rules: { "allow-addons": "true" },
        tables: '[kernel-arguments]\nforbidden = ["debug"]',
        prepare: async () => ({ addons: [await addon("debug")] }),
      },
      "policy.kernel-argument-forbidden",
    ],
    ["an addon", { prepare: async () => ({ addons: [await addon("console=ttyS0")] }) }, "policy.addon-foreign"],
    [
      "a stub that is not the image's",
      { prepare: async () => ({ stubPath: await stubPath("252-x64", "linux") }) },
      "policy.stub-foreign",
    ],
    [
      "fs-verity that may be missing",
      { prepare: async () => ({ allowMissingVerity: true }) },
      "policy.verity-optional",
    ],
    ["what lint finds", { rules: { lint: '"fatal"' } }, "policy.lint"],
    ["too few approvals", { tables: `[approvals]\nquorum = 1\n${APPROVERS}` }, "policy.quorum"],
  ];
  test.each(cases)("%s", async (_, { os, prepare: more, rules, sign: signs, tables = "" }, code) => {
    const request = await prepared(os, await more?.());
    const policyPath = await newPolicy(rules, `${tables}\n${AUDIT}`);
    const report = await signRequest(request, signing({ policyPath, ...signs }));
    expect(report.refusal?.code).toBe(code);
    expect(report.signed).toEqual([]);
    expect(await signatures(request)).toEqual([]);
    expect(await codeOfAsync(() => verifyAudit(logOf(policyPath), { certificatePath: key("audit.crt") }))).toBe(
      "input.not-found",
    );
  });

  const allowed: [string, Case][] = [
    [
      "a stub whose hash the policy has",
      { rules: { stubs: "STUB" }, prepare: async () => ({ stubPath: await stubPath("252-x64", "linux") }) },
    ],
    [
      "addons that are allowed",
      { rules: { "allow-addons": "true" }, prepare: async () => ({ addons: [await addon("console=ttyS0")] }) },
    ],
    [
      "fs-verity that may be missing as allowed",
      { rules: { "allow-missing-verity": "true" }, prepare: async () => ({ allowMissingVerity: true }) },
    ],
    [
      "findings of lints that are left out",
      {
        rules: { lint: '"fatal"', "skip-lints": '["api-base-directories", "baseimage-root", "initramfs-root-setup"]' },
      },
    ],
  ];
  test.each(allowed)("but not %s", async (_, { prepare: more, rules = {} }) => {
    const request = await prepared({}, await more?.());
    const { seal } = parseSigningRequest(await readFile(join(request, "request.json")));
    const policyPath = await newPolicy({ ...rules, ...(rules["stubs"] && { stubs: `["${seal.stub?.sha256}"]` }) });
    const report = await signRequest(request, signing({ policyPath }));
    expect(report.refusal).toBeUndefined();
    expect(report.signed).toContain(UKI);
  });
});

test.each<[string, Readonly<Record<string, string>>, string]>([
  ["1", {}, "policy.version-decreased"],
  ["2", {}, "signed"],
  ["10", {}, "signed"],
  ["2~rc1", {}, "policy.version-decreased"],
  ["1", { "allow-older-version": "true" }, "signed"],
])("after version 2, version %s with the rules %j: %s", async (version, rules, outcome) => {
  const policyPath = await newPolicy(rules, AUDIT);
  const to = "quay.io/example/os:latest";
  const osRelease = (id: string) => ({ files: { "usr/lib/os-release": `ID=small\nVERSION_ID=${id}\n` } });
  await signRequest(await prepared(osRelease("2"), { to }), signing({ policyPath }));
  const report = await signRequest(await prepared(osRelease(version), { to }), signing({ policyPath }));
  expect(report.refusal?.code ?? "signed").toBe(outcome);
});

test("a version that is not said any more is refused, and another name is another history", async () => {
  const policyPath = await newPolicy({}, AUDIT);
  const unsaid = { files: { "usr/lib/os-release": "ID=small\n" } };
  await signRequest(await prepared({}, { to: "quay.io/example/os:1" }), signing({ policyPath }));
  const same = await signRequest(await prepared(unsaid, { to: "quay.io/example/os:2" }), signing({ policyPath }));
  expect(same.refusal?.code).toBe("policy.version-missing");
  const other = await signRequest(await prepared(unsaid, { to: "quay.io/example/more:1" }), signing({ policyPath }));
  expect(other.signed).toEqual([UKI]);
});

describe("PCR policies", () => {
  const round = (more: Partial<PrepareOptions> = {}) => prepared({}, { pcrPublicKeyPath: key("bob.pub"), ...more });

  test("are signed with their own key, as the policy allows it", async () => {
    const request = await round();
    const policyPath = await newPolicy({ "pcr-keys": '["bob.pub"]' }, AUDIT);
    const report = await signRequest(request, { policyPath, pcrKey: key("bob.key"), now: NOW });
    expect(report.signed).toHaveLength(16);
    const os = report.request.image.source;
    const last = await prepare(os, request, { pcrPublicKeyPath: key("bob.pub") });
    expect(last.request.round).toBe("image");
    expect((await signRequest(request, signing({ policyPath }))).signed).toEqual([UKI]);
    expect((await attachSeal(request, { to: `oci:${place("sealed")}` })).uki.path).toContain(UKI);
  });

  test("of a key that the policy does not have are refused", async () => {
    const options = { policyPath: await newPolicy({}, AUDIT), pcrKey: key("bob.key"), now: NOW };
    expect((await signRequest(await round(), options)).refusal?.code).toBe("policy.pcr-key");
  });

  test("are signed by no other key, and nothing else is signed as one", async () => {
    const request = await round();
    const code = (more: Partial<SignRequestOptions>) => codeOfAsync(() => signRequest(request, { now: NOW, ...more }));
    expect(await code({})).toBe("signer.missing");
    expect(await code({ key: key("db.key") })).toBe("signer.missing");
    expect(await code({ pcrKey: key("db.key") })).toBe("signing-request.other-signer");
    const path = join(request, "request.json");
    const { id: _, ...document } = JSON.parse(await readFile(path, "utf8"));
    document.items[0].toBeSigned = Buffer.from("a command that somebody wants signed").toString("base64");
    await writeFile(path, JSON.stringify({ ...document, id: hashDocument(document) }));
    expect(await code({ pcrKey: key("bob.key") })).toBe("signing-request.to-be-signed");
    expect(await signatures(request)).toEqual([]);
  });
});

describe("approvals", () => {
  const quorumOf = (quorum: number) => newPolicy({}, `[approvals]\nquorum = ${quorum}\n${APPROVERS}`);

  test("of one person count once, whatever the files are called", async () => {
    const request = await prepared();
    await approve(request, "alice");
    await cp(join(request, "approvals/alice.json"), join(request, "approvals/again.json"));
    const report = await signRequest(request, signing({ policyPath: await quorumOf(2) }));
    expect(report.refusal?.code).toBe("policy.quorum");
    expect(report.review?.approvals.approved).toHaveLength(1);
  });

  const unsound: [string, (request: string) => Promise<unknown>, string][] = [
    ["of somebody the policy does not know", (request) => approve(request, "mallory"), "approval.unknown-approver"],
    ["in the name of another", (request) => approve(request, "mallory", { approver: "alice" }), "approval.other-key"],
    [
      "of another request",
      async (request) => {
        const other = await prepared({ files: { "etc/hostname": "other\n" } });
        await approve(other, "alice");
        await cp(join(other, "approvals/alice.json"), join(request, "approvals/alice.json"));
      },
      "approval.other-request",
    ],
    [
      "that were edited",
      async (request) => {
        const { file } = await approve(request, "alice", { decision: "reject" });
        const text = await readFile(join(request, file), "utf8");
        await writeFile(join(request, file), text.replace('"reject"', '"approve"'));
      },
      "approval.signature-wrong",
    ],
    ["that cannot be read", (request) => writeFile(join(request, "approvals/alice.json"), "{}"), "approval.schema"],
  ];
  test.each(unsound)("%s do not count", async (_, act, code) => {
    const request = await prepared();
    await act(request);
    const report = await signRequest(request, signing({ policyPath: await quorumOf(1) }));
    expect(report.refusal?.code).toBe("policy.quorum");
    expect(report.review?.approvals.problems).toMatchObject([{ code }]);
  });

  test("do not help against a rejection", async () => {
    const request = await prepared();
    await approve(request, "alice");
    await approve(request, "bob", { decision: "reject", reason: "not on a Friday" });
    const report = await signRequest(request, signing({ policyPath: await quorumOf(1) }));
    expect(report.refusal).toMatchObject({ code: "policy.rejected" });
    expect(report.refusal?.message).toContain("not on a Friday");
  });

  test("are refused to be made in a name that is a path, or with a reason of several lines", async () => {
    const request = await prepared();
    expect(await codeOfAsync(() => approve(request, "alice", { approver: "../alice" }))).toBe("approval.approver");
    expect(await codeOfAsync(() => approve(request, "alice", { reason: "a\nb" }))).toBe("approval.malformed");
    expect(await readdir(join(request, "approvals"))).toEqual([]);
  });
});

describe("a builder that lies", () => {
  type Edit = (document: Record<string, Record<string, unknown>[] & Record<string, unknown>>) => void;

  async function forged(edit: Edit, file?: Uint8Array): Promise<string> {
    const request = await prepared();
    const path = join(request, "request.json");
    const { id: _, ...document } = JSON.parse(await readFile(path, "utf8"));
    edit(document);
    await writeFile(path, JSON.stringify({ ...document, id: hashDocument(document) }));
    if (file !== undefined) await writeFile(join(request, "files", UKI), file);
    return request;
  }

  test("about the UKI is found out, whatever it says of it", async () => {
    const { computeAuthenticodeDigest, prepareSignature } = await import("../../formats/authenticode/index.ts");
    const { createHash } = await import("node:crypto");
    const stub = await readFile(await stubPath("262-x64", "linux"));
    const { bytes: evil } = await buildUki(stub, { linux: Buffer.from("evil"), cmdline: Buffer.from("rw") });
    const request = await forged(({ items: [item] = [] as never }) => {
      Object.assign(item ?? {}, {
        size: evil.length,
        sha256: createHash("sha256").update(evil).digest("hex"),
        authenticodeDigest: Buffer.from(computeAuthenticodeDigest(evil)).toString("hex"),
        toBeSigned: Buffer.from(prepareSignature(evil, NOW).message).toString("base64"),
      });
    }, evil);
    const policyPath = await newPolicy();
    expect(await codeOfAsync(() => signRequest(request, signing({ policyPath })))).toBe("signing-request.differs");
    expect(await signatures(request)).toEqual([]);
  });

  test("about what is to be signed gets no signature, with a policy or without", async () => {
    const request = await forged(({ items: [item] = [] as never }) =>
      Object.assign(item ?? {}, { toBeSigned: Buffer.from("anything at all").toString("base64") }),
    );
    expect(await codeOfAsync(() => signRequest(request, signing()))).toBe("signing-request.to-be-signed");
    const policyPath = await newPolicy();
    expect(await codeOfAsync(() => signRequest(request, signing({ policyPath })))).toBe("signing-request.differs");
  });

  test("about the arguments is found out", async () => {
    const request = await forged(({ sealed }) => Object.assign(sealed ?? {}, { commandLine: "rw quiet" }));
    const policyPath = await newPolicy();
    expect(await codeOfAsync(() => signRequest(request, signing({ policyPath })))).toBe("signing-request.differs");
  });

  test("about the image is found out", async () => {
    const at = place("os");
    const request = place("request");
    await prepare(await newOs({}, at), request);
    await rm(at, { recursive: true });
    await newOs({ files: { "etc/hostname": "replaced\n" } }, at);
    const policyPath = await newPolicy();
    expect(await codeOfAsync(() => signRequest(request, signing({ policyPath })))).toBe("signing-request.stale");
  });
});

test("the image may be read elsewhere, from a place that the policy allows", async () => {
  const os = await newOs();
  const request = place("request");
  await prepare(os, request);
  const mirror = place("mirror");
  await cp(os.slice(4), mirror, { recursive: true });
  await rm(os.slice(4), { recursive: true });
  const image = `oci:${mirror}`;
  const strict = await newPolicy({ repositories: `["${os}"]` });
  expect((await signRequest(request, signing({ policyPath: strict, image }))).refusal?.code).toBe("policy.repository");
  expect((await signRequest(request, signing({ policyPath: await newPolicy(), image }))).signed).toEqual([UKI]);
});

test("an image that cannot be compared with any more is signed, and the report says why it was not", async () => {
  const policyPath = await newPolicy({}, AUDIT);
  const os = await newOs();
  const request = place("request");
  await prepare(os, request, { to: "quay.io/example/os:1" });
  await signRequest(request, signing({ policyPath }));
  await rm(os.slice(4), { recursive: true });
  const next = await prepared({}, { to: "quay.io/example/os:2" });
  const { review, signed } = await signRequest(next, signing({ policyPath }));
  expect(review).toMatchObject({ diff: null, diffProblem: { code: "input.not-found" } });
  expect(signed).toEqual([UKI]);
});

test("nothing is signed while the audit log does not verify", async () => {
  const policyPath = await newPolicy({}, AUDIT);
  await signRequest(await prepared(), signing({ policyPath }));
  const log = logOf(policyPath);
  await writeFile(log, (await readFile(log, "utf8")).replace(`"kernel":"${KERNEL_VERSION}"`, '"kernel":"7"'));
  const request = await prepared({ files: { "etc/hostname": "next\n" } });
  expect(await codeOfAsync(() => signRequest(request, signing({ policyPath })))).toBe("audit.entry-edited");
  await rm(log);
  expect(await codeOfAsync(() => signRequest(request, signing({ policyPath })))).toBe("input.not-found");
  expect(await signatures(request)).toEqual([]);
});

test("requests that are signed at once are all written down", async () => {
  const policyPath = await newPolicy({}, AUDIT);
  const requests = [];
  for (const name of ["one", "two", "three"]) {
    requests.push(await prepared({ files: { "etc/hostname": `${name}\n` } }, { to: `quay.io/example/${name}` }));
  }
  await Promise.all(requests.map((request) => signRequest(request, signing({ policyPath }))));
  const { entries } = await verifyAudit(logOf(policyPath), { certificatePath: key("audit.crt") });
  expect(entries.map(({ name }) => name).sort()).toEqual(
    ["one", "three", "two"].map((name) => `quay.io/example/${name}`),
  );
});

test("a look signs nothing, needs no key, and the identifier holds on to what was seen", async () => {
  const policyPath = await newPolicy({}, AUDIT);
  const request = await prepared();
  const { request: seen, review } = await signRequest(request, { policyPath, now: NOW, dryRun: true });
  expect(review?.holds).toBe(true);
  expect(await signatures(request)).toEqual([]);
  expect(await codeOfAsync(() => signRequest(request, signing({ policyPath, expectedId: "0" })))).toBe(
    "signing-request.other-id",
  );
  expect((await signRequest(request, signing({ policyPath, expectedId: seen.id }))).signed).toEqual([UKI]);
});

test("keys that are not those of the request sign nothing", async () => {
  const request = await prepared();
  const code = (more: Partial<SignRequestOptions>) => codeOfAsync(() => signRequest(request, signing(more)));
  expect(await code({ key: undefined })).toBe("signer.missing");
  expect(await code({ key: key("KEK.key") })).toBe("signing-request.other-signer");
  expect(await code({ key: key("KEK.key"), certificatePath: key("KEK.crt") })).toBe("signing-request.other-signer");
  expect(await code({ now: new Date("2090-01-01T00:00:00Z") })).toBe("signer.certificate-expired");
  expect(await signatures(request)).toEqual([]);
});

test.each<[string, Readonly<Record<string, string>>, string, string]>([
  ["a rule that it does not know", { quorum: "2" }, "", "policy.key-unknown"],
  ["a certificate that is not there", { certificates: '["absent.crt"]' }, "", "input.not-found"],
  [
    "one key for two people",
    {},
    '[approvals]\nquorum = 2\napprovers = { a = "alice.pub", b = "alice.pub" }',
    "policy.approver-key",
  ],
  [
    "a private key for an approver",
    {},
    '[approvals]\nquorum = 1\napprovers = { a = "alice.key" }',
    "policy.approver-key",
  ],
  [
    "a key for its log that is not there",
    {},
    '[audit]\nlog = "l"\nkey = "absent.key"\ncertificate = "audit.crt"',
    "policy.audit-key",
  ],
])("a policy with %s signs nothing", async (_, rules, tables, code) => {
  const policyPath = await newPolicy(rules, tables);
  const request = await prepared();
  expect(await codeOfAsync(() => signRequest(request, signing({ policyPath })))).toBe(code);
  expect(await signatures(request)).toEqual([]);
});
