import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { codeOf, codeOfAsync } from "../../../test/code-of.ts";
import { sharedFixture } from "../../../test/fixtures.ts";
import { writeSmallOs } from "../../../test/small-os.ts";
import { verifyPe } from "../../formats/authenticode/index.ts";
import { KEY_DATABASES, parseEfiTime, verifyVariable } from "../../formats/efivars/index.ts";
import { parseSignatureLists, toSignatureDatabase } from "../../formats/esl/index.ts";
import { parseCertificate } from "../../formats/x509/index.ts";
import { sealImage } from "../seal/seal-image.ts";
import { generateKeys } from "./generate-keys.ts";
import { type RevokeKeysOptions, revokeKeys } from "./revoke-keys.ts";
import { rotateKeys } from "./rotate-keys.ts";
import { assessSbatLevel } from "./sbat-level.ts";
import { showKeys } from "./show-keys.ts";

const MADE = new Date("2026-01-01T00:00:00Z");
const NOW = new Date("2026-06-01T10:00:00Z");
const program = () => sharedFixture("secureboot/pe/addon.unsigned.efi");

let place: string;
let original: string;
let sealed: string;
let count = 0;
const path = (name: string): string => join(place, name);

beforeAll(async () => {
  place = mkdtempSync(join(tmpdir(), "sealwright-revoke-"));
  original = path("original");
  await generateKeys({ directory: original, now: MADE, randomBytes });
  const os = `oci:${path("os")}`;
  await writeSmallOs(os);
  sealed = `oci:${path("sealed")}`;
  await seal(os, sealed, original, "db");
  await rotateKeys(original, { name: "db", overlapDays: 1, randomBytes, signing: { now: new Date("2026-02-01") } });
});
afterAll(() => rmSync(place, { recursive: true }));

async function seal(from: string, to: string, keys: string, name: string) {
  const signing = { key: join(keys, `${name}.key`), certificatePath: join(keys, `${name}.crt`), now: NOW };
  return await sealImage(from, { to, ...signing });
}

function newKeys(): string {
  const directory = path(`keys-${count++}`);
  cpSync(original, directory, { recursive: true });
  return directory;
}

const revoke = (directory: string, targets: readonly string[], more: Partial<RevokeKeysOptions> = {}) =>
  revokeKeys(directory, { targets, signing: { now: NOW }, ...more });
const bytes = (directory: string, file: string): Buffer => readFileSync(join(directory, file));
const dbxOf = (directory: string) => toSignatureDatabase(parseSignatureLists(bytes(directory, "dbx.esl"), "dbx"));
const hash = (text: string): string => createHash("sha256").update(text).digest("hex");

test("revokeKeys() lists digests as hash-to-efi-sig-list does, and signs as sign-efi-sig-list does", async () => {
  const directory = newKeys();
  const report = await revoke(directory, [program()]);
  expect(report).toMatchObject({ total: 1, files: ["dbx.esl", "dbx.auth", "dbx-append.esl", "dbx-append.auth"] });
  expect(report.warnings.map(({ code }) => code)).toEqual(["keys.revoke.impact-unknown"]);
  const theirs = path("theirs");
  execFileSync("hash-to-efi-sig-list", [program(), `${theirs}.esl`], { stdio: "pipe" });
  // That tool knows no owner: compared is what follows it.
  expect(bytes(directory, "dbx.esl").subarray(44)).toEqual(readFileSync(`${theirs}.esl`).subarray(44));
  const pesign = execFileSync("pesign", ["--hash", "--in", program()], { encoding: "utf8" });
  expect(pesign).toContain(report.added[0]?.sha256);
  for (const [args, file] of [
    [[], "dbx"],
    [["-a"], "dbx-append"],
  ] as const) {
    execFileSync(
      "sign-efi-sig-list",
      [
        ...args,
        "-t",
        "2026-06-01 10:00:00",
        "-k",
        join(directory, "KEK.key"),
        "-c",
        join(directory, "KEK.crt"),
        "dbx",
        join(directory, `${file}.esl`),
        `${theirs}.auth`,
      ],
      { env: { ...process.env, TZ: "UTC" }, stdio: "pipe" },
    );
    expect([file, readFileSync(`${theirs}.auth`).equals(bytes(directory, `${file}.auth`))]).toEqual([file, true]);
  }
  const KEK = parseCertificate(bytes(directory, "KEK.crt"), "KEK");
  verifyVariable(bytes(directory, "dbx-append.auth"), { ...KEY_DATABASES.dbx, append: true }, [KEK]);
  expect((await showKeys(directory)).problems).toEqual([]);
});

test("revokeKeys() gathers: each time dbx has all of it, and the append too", async () => {
  const directory = newKeys();
  await revoke(directory, [hash("one"), `sha256:${hash("two").toUpperCase()}`]);
  const later = { signing: { now: new Date("2026-06-02T00:00:00Z") } };
  expect(await revoke(directory, [hash("two"), hash("three")], later)).toMatchObject({
    added: [{ kind: "image-hash", sha256: hash("three") }],
    total: 3,
    step: "history/0003",
  });
  expect(dbxOf(directory).imageHashes).toHaveLength(3);
  expect(bytes(directory, "dbx-append.esl")).toEqual(bytes(directory, "dbx.esl"));
  expect(readdirSync(join(directory, "history/0003/before")).sort()).toContain("dbx.auth");
});

test("revokeKeys() revokes a certificate, which sig-list-to-certs finds and verifyPe() obeys", async () => {
  const directory = newKeys();
  await revoke(directory, [join(directory, "db-old.crt")], { force: true });
  mkdirSync(path("found"));
  execFileSync("sig-list-to-certs", [join(directory, "dbx.esl"), path("found/c")], { stdio: "pipe" });
  expect(readFileSync(path("found/c-0.der"))).toEqual(parseCertificate(bytes(directory, "db-old.crt"), "db").der);
  const signed = path("signed.efi");
  const [key, certificate] = [join(directory, "db-old.key"), join(directory, "db-old.crt")];
  execFileSync("sbsign", ["--key", key, "--cert", certificate, "--output", signed, program()], { stdio: "pipe" });
  const db = { certificates: [parseCertificate(readFileSync(certificate), "db")] };
  expect(codeOf(() => verifyPe(readFileSync(signed), { db }))).toBe("accepted");
  expect(codeOf(() => verifyPe(readFileSync(signed), { db, dbx: dbxOf(directory) }))).toBe("pe.signature.revoked");
});

test("revokeKeys() revokes by the hash of a certificate, from a time on or always", async () => {
  const directory = newKeys();
  const since = new Date("2026-05-01T00:00:00Z");
  const target = [join(directory, "db-old.crt")];
  const report = await revoke(directory, target, { byCertificateHash: true, since });
  expect(report.added).toMatchObject([
    { kind: "certificate-hash", of: "CN=Secure Boot db", since: since.toISOString() },
  ]);
  const [list] = parseSignatureLists(bytes(directory, "dbx.esl"), "dbx");
  const data = list?.signatures[0]?.data as Uint8Array;
  const old = parseCertificate(bytes(directory, "db-old.crt"), "db");
  const tbs = createHash("sha256").update(old.tbs).digest();
  expect([list?.typeName, Buffer.from(data.subarray(0, 32)).equals(tbs)]).toEqual(["x509-sha256", true]);
  expect(parseEfiTime(data.subarray(32))).toEqual(since);
  const always = newKeys();
  await revoke(always, [join(always, "db-old.crt")], { byCertificateHash: true });
  expect(bytes(always, "dbx.esl").subarray(-16)).toEqual(Buffer.alloc(16));
});

describe("what a revocation stops:", () => {
  test("an image revokes its UKI, and the impact names the image that carries it", async () => {
    const directory = newKeys();
    const known = [sealed];
    expect(await codeOfAsync(() => revoke(directory, [sealed], { known }))).toBe("keys.revoke.stops-newest");
    expect(readdirSync(directory)).not.toContain("dbx.esl");
    const report = await revoke(directory, [sealed], { known, force: true });
    expect(report.impact).toMatchObject([
      { name: sealed, newest: true, stopped: [{ path: expect.stringMatching(/\.efi$/) }] },
    ]);
    expect(report.impact[0]?.stopped).toHaveLength(1);
    expect(report.warnings.map(({ code }) => code)).toEqual(["keys.revoke.stops-newest"]);
  });

  test("an older image may stop while the newest boots on", async () => {
    const directory = newKeys();
    const next = `oci:${path("next")}`;
    await seal(`oci:${path("os")}`, next, directory, "db");
    const report = await revoke(directory, [join(directory, "db-old.crt")], { known: [sealed, next] });
    expect(report.impact.map(({ name, newest, stopped }) => [name, newest, stopped.length > 0])).toEqual([
      [sealed, false, true],
      [next, true, false],
    ]);
  });

  test("reports of seals count, those in the key directory by themselves", async () => {
    const directory = newKeys();
    const report = await seal(`oci:${path("os")}`, `oci:${path(`again-${count++}`)}`, directory, "db-old");
    mkdirSync(join(directory, "sealed"));
    writeFileSync(join(directory, "sealed/1.json"), JSON.stringify(report));
    const target = [join(directory, "db-old.crt")];
    expect(await codeOfAsync(() => revoke(directory, target))).toBe("keys.revoke.stops-newest");
    const dry = await revoke(directory, [report.uki.authenticodeDigest], { dryRun: true });
    expect(dry).toMatchObject({ files: [], impact: [{ kind: "report", stopped: [{ path: report.uki.path }] }] });
    expect(readdirSync(directory)).not.toContain("dbx.esl");
  });
});

describe("revokeKeys() refuses", () => {
  test.each<[string, string, (directory: string) => Promise<unknown>]>([
    ["nothing", "keys.revoke.nothing", (directory) => revoke(directory, [])],
    ["a digest that lost its end", "keys.revoke.hash", (directory) => revoke(directory, [hash("one").slice(1)])],
    [
      "what is revoked already",
      "keys.revoke.known-already",
      async (directory) => {
        await revoke(directory, [hash("one")]);
        return await revoke(directory, [hash("one")]);
      },
    ],
    [
      "an update with a clock that is behind",
      "keys.clock",
      async (directory) => {
        await revoke(directory, [hash("one")]);
        return await revoke(directory, [hash("two")], { signing: { now: new Date("2026-05-01T00:00:00Z") } });
      },
    ],
    ["the key in use", "keys.revoke.current-key", (directory) => revoke(directory, [join(directory, "db.crt")])],
    ["an image without UKI", "keys.revoke.no-program", (directory) => revoke(directory, [`oci:${path("os")}`])],
    [
      "a report that is none",
      "keys.known.report",
      (directory) => {
        writeFileSync(path("no.json"), "{}");
        return revoke(directory, [hash("one")], { known: [path("no.json")] });
      },
    ],
    ["a directory without keys", "keys.not-found", () => revoke(path("found"), [hash("one")])],
  ])("%s", async (_, code, work) => {
    expect(await codeOfAsync(() => work(newKeys()))).toBe(code);
  });
});

describe("assessSbatLevel()", () => {
  test("writes the level for shim, and says which programs it would stop", async () => {
    const output = path("level.csv");
    const report = await assessSbatLevel({ entries: ["uki,2"], known: [sealed], output, date: NOW });
    expect(readFileSync(output, "latin1")).toBe("sbat,1,2026060100\nuki,2\n");
    expect(report.stopped).toMatchObject([{ name: sealed, component: "uki", generation: 1, needed: 2 }]);
    expect(report.warnings.map(({ code }) => code)).toEqual(["keys.sbat.shim-only"]);
  });

  test.each([
    [["uki"], "keys.sbat.entry"],
    [["uki,0"], "keys.sbat.entry"],
    [["sbat,2"], "keys.sbat.entry"],
  ])("refuses %j", async (entries, code) => {
    expect(await codeOfAsync(() => assessSbatLevel({ entries, known: [], date: NOW }))).toBe(code);
  });
});
