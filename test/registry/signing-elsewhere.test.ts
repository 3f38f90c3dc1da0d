/** A builder, a signer and a registry between them: through the command line, as people and pipelines run it. */
import { execFileSync, spawn } from "node:child_process";
import { appendFile, chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openTempDir, type TempDir } from "../../src/model/host-io/temp.ts";
import { writeSmallOs } from "../small-os.ts";
import { startRegistry, type TestRegistry } from "./servers.ts";

const program = fileURLToPath(new URL("../../bin/sealwright.cjs", import.meta.url));

let temp: TempDir;
let registry: TestRegistry;

const at = (...names: string[]): string => join(temp.path, ...names);
const image = (name: string): string => `${registry.host}/example/${name}`;

beforeAll(async () => {
  temp = await openTempDir();
  registry = await startRegistry();
  await sealwright("builder", "keys", "generate", at("keys"));
  const audit = [
    "-newkey",
    "rsa:2048",
    "-nodes",
    "-keyout",
    at("audit.key"),
    "-out",
    at("audit.crt"),
    "-subj",
    "/CN=audit",
  ];
  execFileSync("openssl", ["req", "-x509", ...audit, "-days", "2"], { stdio: "pipe" });
  execFileSync("openssl", [
    "genpkey",
    "-algorithm",
    "EC",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-out",
    at("alice.key"),
  ]);
  execFileSync("openssl", ["pkey", "-in", at("alice.key"), "-pubout", "-out", at("alice.pub")]);
  for (const name of ["audit.key", "alice.key"]) await chmod(at(name), 0o600);
  const policy = `
    repositories = ["${registry.host}/example/*"]
    targets = ["${registry.host}/example/*"]
    certificates = ["keys/db.crt"]
    max-age = "1h"
    lint = "off"
    [approvals]
    quorum = 1
    approvers = { alice = "alice.pub" }
    [audit]
    log = "audit.jsonl"
    key = "audit.key"
    certificate = "audit.crt"`;
  await writeFile(at("policy.toml"), policy);
});

afterAll(async () => {
  await registry[Symbol.asyncDispose]();
  await temp[Symbol.asyncDispose]();
});

interface Run {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Builder and signer share nothing but what is passed: each has its own home. */
async function sealwright(who: "builder" | "signer", ...args: string[]): Promise<Run> {
  const home = at(who);
  const env = { PATH: process.env["PATH"], HOME: home, XDG_CACHE_HOME: join(home, "cache") };
  const child = spawn(process.execPath, [program, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
  const said = { stdout: "", stderr: "" };
  child.stdout.on("data", (chunk: Buffer) => (said.stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (said.stderr += chunk.toString()));
  const status = await new Promise<number | null>((resolve) => child.on("close", resolve));
  return { status, ...said };
}

async function json(who: "builder" | "signer", ...args: string[]) {
  const { status, stderr, stdout } = await sealwright(who, ...args, "--json");
  if (status !== 0) throw new Error(`sealwright ${args.join(" ")}: ${status}\n${stderr}`);
  return JSON.parse(stdout);
}

async function push(version: string): Promise<void> {
  const layout = at(`os-${version}`);
  await writeSmallOs(`oci:${layout}:os`, { files: { "usr/lib/os-release": `ID=small\nVERSION_ID=${version}\n` } });
  await json("builder", "copy", `oci:${layout}:os`, image("os:latest"), "--tls-verify=false");
}

const prepare = (directory: string) =>
  json(
    "builder",
    "seal",
    image("os:latest"),
    "--prepare",
    directory,
    "--cert",
    at("keys/db.crt"),
    "--to",
    image("os-sealed:latest"),
    "--tls-verify=false",
  );

const sign = (directory: string, ...more: string[]) =>
  sealwright(
    "signer",
    "sign-request",
    directory,
    "--policy",
    at("policy.toml"),
    "--key",
    at("keys/db.key"),
    "--tls-verify=false",
    ...more,
  );

test("two versions go from builder to signer to registry; what was signed stays known", async () => {
  const request = at("request");
  await push("1");
  expect(await prepare(request)).toMatchObject({ request: { round: "boot-loader" } });
  await json("signer", "sign-request", request, "--approve", at("alice.key"), "--as", "alice");
  expect((await sign(request)).status).toBe(0);
  expect(await prepare(request)).toMatchObject({ request: { round: "image" }, loaderSignature: "earlier round" });

  const unapproved = await sign(request);
  expect(unapproved.status).toBe(81);
  expect(unapproved.stdout).toContain("policy.quorum");
  await json("signer", "sign-request", request, "--approve", at("alice.key"), "--as", "alice");
  expect((await sign(request)).status).toBe(0);
  const sealed = await json("builder", "seal", "--attach", request, "--cert", at("keys/db.crt"), "--tls-verify=false");
  const one = [
    "seal",
    image("os:latest"),
    "--to",
    image("one:latest"),
    "--key",
    at("keys/db.key"),
    "--cert",
    at("keys/db.crt"),
  ];
  expect((await json("builder", ...one, "--tls-verify=false")).manifestDigest).toBe(sealed.manifestDigest);

  await push("2");
  const next = at("next");
  expect(await prepare(next)).toMatchObject({ loaderSignature: "cache", request: { round: "image" } });
  await json("signer", "sign-request", next, "--approve", at("alice.key"), "--as", "alice");
  const { status, stdout } = await sign(next, "--json");
  expect(status).toBe(0);
  const { review, audit } = JSON.parse(stdout);
  expect(review).toMatchObject({ last: { version: "1.2" }, diff: { differs: true }, holds: true });
  expect(audit).toMatchObject({ sequence: 2 });

  await push("3");
  const moved = await sealwright("builder", "seal", "--attach", next, "--tls-verify=false");
  expect(moved.status).toBe(80);
  expect(moved.stderr).toContain("signing-request.stale");
});

test("the log of it verifies, is shown, and is not believed when it was changed", async () => {
  const log = at("audit.jsonl");
  const verified = await json("signer", "audit", "verify", log, "--cert", at("audit.crt"));
  expect(verified).toMatchObject({ holds: true, entries: 3, head: { sequence: 2 } });
  const shown = await sealwright("signer", "audit", "show", log, "--cert", at("audit.crt"), "--limit", "1");
  expect(shown.stdout).toContain(`${registry.host}/example/os-sealed`);
  expect(shown.stdout).toContain("2 earlier entries");
  const text = await readFile(log, "utf8");
  await writeFile(log, text.split("\n").slice(0, 2).join("\n").concat("\n"));
  const cut = await sealwright("signer", "audit", "verify", log, "--cert", at("audit.crt"));
  expect([cut.status, cut.stderr.includes("audit.truncated")]).toEqual([80, true]);
  await appendFile(log, text.split("\n")[2] ?? "");
  expect((await sealwright("signer", "audit", "verify", log, "--cert", at("audit.crt"))).stderr).toContain(
    "audit.torn",
  );
});

test("options that belong to the other half are refused", async () => {
  const refused = async (...args: string[]) => (await sealwright("builder", "seal", ...args)).stderr;
  expect(await refused("oci:x", "--prepare", at("r"), "--cert", "c", "--key", "k")).toContain("seal.prepare-key");
  expect(await refused("--attach", at("request"), "--karg", "debug")).toContain("seal.attach-options");
  expect(await refused("--attach", at("request"), "--write-cert", "c")).toContain("seal.attach-options");
  expect(await refused("--to", "oci:x", "--ephemeral-keys")).toContain("seal.image-missing");
  expect(await refused("oci:x", "--ephemeral-keys")).toContain("seal.target-missing");
});
