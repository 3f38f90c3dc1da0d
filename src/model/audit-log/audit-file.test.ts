import { spawn } from "node:child_process";
import { generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { appendFile, mkdtemp, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { codeOfAsync } from "../../../test/code-of.ts";
import type { AuditFacts } from "../../formats/audit-log/index.ts";
import { parsePublicKey } from "../../formats/x509/index.ts";
import { appendAuditEntry, headPath, toLogKey, verifyAuditFile } from "./index.ts";

const TIME = () => new Date("2026-06-01T00:00:00Z");
const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const key = parsePublicKey(publicKey.export({ format: "der", type: "spki" }));
// DER, as signers give it.
const logKey = toLogKey({ publicKey: key, sign: async (message) => sign("sha256", message, privateKey) });

let directory: string;
let log: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "sealwright-audit-"));
});
beforeEach(() => {
  log = join(directory, `${randomBytes(4).toString("hex")}.jsonl`);
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const facts = (name: string): AuditFacts => ({
  event: "signed",
  request: "ab".repeat(32),
  round: "image",
  name,
  image: { source: name, manifestDigest: `sha256:${"12".repeat(32)}` as never, platform: "linux/amd64" },
  os: { id: "debian" },
  kernel: "6.12",
  items: [],
  certificate: "01".repeat(32),
  approvals: [],
});

const append = (name: string) => appendAuditEntry(log, facts(name), TIME, logKey);
const verify = (options = {}) => verifyAuditFile(log, key, options);
const lines = async () => (await readFile(log, "utf8")).split("\n").slice(0, -1);
const rewrite = async (kept: readonly string[]) => await writeFile(log, kept.map((line) => `${line}\n`).join(""));

async function newLog(count: number): Promise<void> {
  for (let index = 0; index < count; index++) await append(`os-${index}`);
}

test("appendAuditEntry() writes what verifyAuditFile() follows, for nobody else to read", async () => {
  await newLog(3);
  const names: string[] = [];
  const end = await verify({ onEntry: ({ name }: { name: string }) => names.push(name) });
  expect(names).toEqual(["os-0", "os-1", "os-2"]);
  expect(end).toEqual(await append("os-3").then(() => ({ sequence: 2, line: end?.line })));
  expect((await stat(log)).mode & 0o777).toBe(0o600);
});

test("concurrent appends lose nothing", async () => {
  const names = Array.from({ length: 20 }, (_, index) => `os-${index}`);
  const positions = await Promise.all(names.map(append));
  expect(positions.map(({ sequence }) => sequence).sort((a, b) => a - b)).toEqual(names.map((_, index) => index));
  const found: string[] = [];
  await verify({ onEntry: ({ name }: { name: string }) => found.push(name) });
  expect(found.sort()).toEqual(names.sort());
});

test("appends of several processes lose nothing", async () => {
  const module = fileURLToPath(new URL("./index.ts", import.meta.url));
  const pem = privateKey.export({ format: "pem", type: "pkcs8" });
  const script = `
    import { createPrivateKey, sign } from "node:crypto";
    import { appendAuditEntry, toLogKey } from ${JSON.stringify(module)};
    const key = createPrivateKey(${JSON.stringify(pem)});
    const spki = Buffer.from(${JSON.stringify(Buffer.from(key.spki).toString("base64"))}, "base64");
    const publicKey = { facts: { kind: "ec", bits: 256, curve: "P-256" }, spki, bits: spki };
    const logKey = toLogKey({ publicKey, sign: async (message) => sign("sha256", message, key) });
    for (let index = 0; index < 10; index++) {
      await appendAuditEntry(${JSON.stringify(log)}, ${JSON.stringify(facts("os"))}, () => new Date(0), logKey);
    }`;
  const ended = [1, 2, 3].map(
    () =>
      new Promise<number | null>((resolve) => {
        const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
          stdio: ["ignore", "ignore", "inherit"],
        });
        child.on("close", resolve);
      }),
  );
  expect(await Promise.all(ended)).toEqual([0, 0, 0]);
  expect(await verify()).toMatchObject({ sequence: 29 });
});

test.each<[string, () => Promise<unknown>, string]>([
  [
    "an edited line",
    async () => {
      const [one = "", ...rest] = await lines();
      await rewrite([one.replace("6.12", "6.13"), ...rest]);
    },
    "audit.entry-edited",
  ],
  [
    "two lines in each other's place",
    async () => {
      const [one = "", two = "", three = ""] = await lines();
      await rewrite([one, three, two]);
    },
    "audit.sequence",
  ],
  [
    "a line left out",
    async () => {
      const [one = "", , three = ""] = await lines();
      await rewrite([one, three]);
    },
    "audit.sequence",
  ],
  ["a cut end", async () => await rewrite((await lines()).slice(0, 2)), "audit.truncated"],
  ["nothing left", () => writeFile(log, ""), "audit.truncated"],
  ["half a line", async () => await truncate(log, (await stat(log)).size - 10), "audit.torn"],
  ["bytes behind the end", () => appendFile(log, "{"), "audit.torn"],
  ["an empty line", () => appendFile(log, "\n"), "audit.malformed"],
  ["a line without end", () => appendFile(log, "x".repeat(300_000)), "audit.malformed"],
  ["no head", () => rm(headPath(log)), "audit.head-missing"],
  [
    "an edited head",
    async () => {
      await writeFile(headPath(log), (await readFile(headPath(log), "utf8")).replace('"sequence": 2', '"sequence": 1'));
    },
    "audit.head-edited",
  ],
  ["a head of noise", () => writeFile(headPath(log), "noise"), "audit.head.malformed"],
  ["no log", () => rm(log), "input.not-found"],
])("verifyAuditFile() refuses %s", async (_, damage, code) => {
  await newLog(3);
  await damage();
  expect(await codeOfAsync(() => verify())).toBe(code);
});

test("verifyAuditFile() finds a log and its head put back together to an earlier state by who remembers", async () => {
  await newLog(2);
  const [oldLog, oldHead] = [await readFile(log), await readFile(headPath(log))];
  const last = await append("os-2");
  await writeFile(log, oldLog);
  await writeFile(headPath(log), oldHead);
  expect(await verify()).toMatchObject({ sequence: 1 });
  expect(await codeOfAsync(() => verify({ remembered: [last] }))).toBe("audit.truncated");
  await append("another");
  expect(await codeOfAsync(() => verify({ remembered: [last] }))).toBe("audit.forked");
});

test("verifyAuditFile() needs no head where a position is remembered", async () => {
  await newLog(2);
  const last = await append("os-2");
  await rm(headPath(log));
  expect(await verify({ remembered: [last] })).toEqual(last);
});

test("appendAuditEntry() goes on after a crash: half a line goes, a line that the head missed stays", async () => {
  await newLog(2);
  const head = await readFile(headPath(log));
  await append("os-2");
  await writeFile(headPath(log), head);
  await appendFile(log, '{"half of a');
  expect(await append("os-3")).toMatchObject({ sequence: 3 });
  expect(await verify()).toMatchObject({ sequence: 3 });
});

test.each<[string, () => Promise<unknown>, string]>([
  ["a log whose end was cut", async () => await rewrite((await lines()).slice(0, 1)), "audit.truncated"],
  ["a log without head", () => rm(headPath(log)), "audit.truncated"],
  ["an empty log with a head", () => writeFile(log, ""), "audit.truncated"],
  ["a head without log", () => rm(log), "audit.truncated"],
  [
    "a log with another end",
    async () => {
      const [keep, head] = [await lines(), await readFile(headPath(log))];
      await rm(headPath(log));
      await rm(log);
      await newLog(2);
      await append("another");
      expect((await lines())[2]).not.toBe(keep[2]);
      await writeFile(headPath(log), head);
    },
    "audit.forked",
  ],
])("appendAuditEntry() refuses %s, and leaves it as it is", async (_, damage, code) => {
  await newLog(3);
  await damage();
  const before = await readFile(log, "utf8").catch(() => "");
  expect(await codeOfAsync(() => append("more"))).toBe(code);
  expect(await readFile(log, "utf8")).toBe(before);
});
