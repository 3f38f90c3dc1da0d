import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, unlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { codeOfAsync } from "../../../test/code-of.ts";
import { KEY_DATABASES, verifyVariable } from "../../formats/efivars/index.ts";
import { parseSignatureLists, toSignatureDatabase } from "../../formats/esl/index.ts";
import { parseCertificate } from "../../formats/x509/index.ts";
import { generateKeys } from "./generate-keys.ts";
import type { KeyName } from "./key-directory.ts";
import { retireKey, showRotation } from "./retire-key.ts";
import { type RotateKeysOptions, rotateKeys } from "./rotate-keys.ts";
import { showKeys } from "./show-keys.ts";

const MADE = new Date("2026-01-01T00:00:00Z");
const NOW = new Date("2026-06-01T10:00:00Z");
const LATER = new Date("2026-10-01T10:00:00Z");

let place: string;
let original: string;
let count = 0;

beforeAll(async () => {
  place = mkdtempSync(join(tmpdir(), "sealwright-rotate-"));
  original = join(place, "original");
  await generateKeys({ directory: original, now: MADE, randomBytes, organization: "Example" });
});
afterAll(() => rmSync(place, { recursive: true }));

function newKeys(): string {
  const directory = join(place, `keys-${count++}`);
  cpSync(original, directory, { recursive: true });
  return directory;
}

const rotate = (directory: string, name: KeyName, more: Partial<RotateKeysOptions> = {}) =>
  rotateKeys(directory, { name, overlapDays: 90, randomBytes, signing: { now: NOW }, ...more });
const retire = (directory: string, name: KeyName, now = LATER) => retireKey(directory, { name, signing: { now } });

const bytes = (directory: string, file: string): Buffer => readFileSync(join(directory, file));
const certificate = (directory: string, file: string) => parseCertificate(bytes(directory, file), file);
const subjects = (esl: Uint8Array): string[] =>
  toSignatureDatabase(parseSignatureLists(esl, "list")).certificates.map(({ subject }) => subject);

/** What efitools find in a signature list: they write each certificate to a file. */
function efitoolsSubjects(directory: string, file: string): string[] {
  const out = mkdtempSync(join(place, "certs-"));
  execFileSync("sig-list-to-certs", [join(directory, file), join(out, "c")], { stdio: "pipe" });
  return readdirSync(out)
    .sort()
    .map((name) =>
      execFileSync("openssl", [
        "x509",
        "-inform",
        "DER",
        "-in",
        join(out, name),
        "-noout",
        "-subject",
        "-nameopt",
        "RFC2253",
      ])
        .toString()
        .trim(),
    );
}

test("rotateKeys() puts a new db beside the old one, each known to machines that have the other", async () => {
  const directory = newKeys();
  const plan = await rotate(directory, "db");
  expect(plan).toMatchObject({
    key: "db",
    retireAfter: "2026-08-30T10:00:00.000Z",
    step: "history/0001",
    warnings: [],
  });
  expect([plan.old.subject, plan.new.subject]).toEqual(["CN=Example db,O=Example", "CN=Example db 2,O=Example"]);
  expect((await showKeys(directory)).problems).toEqual([]);
  const KEK = certificate(directory, "KEK.crt");
  const both = verifyVariable(bytes(directory, "db.auth"), KEY_DATABASES.db, [KEK]);
  expect(both.time).toEqual(NOW);
  expect(subjects(both.payload)).toEqual(["CN=Example db 2,O=Example", "CN=Example db,O=Example"]);
  const added = verifyVariable(bytes(directory, "db-append.auth"), { ...KEY_DATABASES.db, append: true }, [KEK]);
  expect(subjects(added.payload)).toEqual(["CN=Example db 2,O=Example"]);
  expect(efitoolsSubjects(directory, "db.esl")).toEqual([
    "subject=CN=Example db 2,O=Example",
    "subject=CN=Example db,O=Example",
  ]);
  for (const name of ["db", "db-old"]) {
    const key = execFileSync("openssl", ["pkey", "-in", join(directory, `${name}.key`), "-pubout"]);
    expect(execFileSync("openssl", ["x509", "-in", join(directory, `${name}.crt`), "-pubkey", "-noout"])).toEqual(key);
    expect(statSync(join(directory, `${name}.key`)).mode & 0o777).toBe(0o600);
  }
});

test.each<[KeyName, string[]]>([
  ["db", ["db.auth", "db-append.auth"]],
  ["KEK", ["KEK.auth", "KEK-append.auth", "db.auth"]],
  ["PK", ["PK.auth", "PK-update.auth", "KEK.auth"]],
])("efitools make the updates of a rotated %s", async (name, files) => {
  const directory = newKeys();
  await rotate(directory, name);
  const signers: Record<string, string> = {
    "db.auth": "KEK",
    "db-append.auth": "KEK",
    "KEK.auth": "PK",
    "KEK-append.auth": "PK",
    "PK.auth": "PK",
    "PK-update.auth": "PK-old",
  };
  for (const file of files) {
    const variable = file.replace(/(?:-append|-update)?\.auth$/, "");
    const esl = file === "PK-update.auth" ? "PK.esl" : file.replace(".auth", ".esl");
    const signer = join(directory, signers[file] as string);
    const theirs = join(place, "theirs.auth");
    execFileSync(
      "sign-efi-sig-list",
      [
        ...(file.includes("append") ? ["-a"] : []),
        "-t",
        "2026-06-01 10:00:00",
        "-k",
        `${signer}.key`,
        "-c",
        `${signer}.crt`,
        variable,
        join(directory, esl),
        theirs,
      ],
      { env: { ...process.env, TZ: "UTC" }, stdio: "pipe" },
    );
    expect([file, readFileSync(theirs).equals(bytes(directory, file))]).toEqual([file, true]);
  }
});

test("retireKey() leaves the new key alone in use, and the old one in history", async () => {
  const directory = newKeys();
  const oldKey = bytes(directory, "db.key");
  await rotate(directory, "db");
  const newKey = bytes(directory, "db.key");
  const plan = await retire(directory, "db");
  expect(plan).toMatchObject({ retired: LATER.toISOString(), step: "history/0002" });
  expect(readdirSync(directory).filter((name) => name.startsWith("db"))).toEqual([
    "db.auth",
    "db.cer",
    "db.crt",
    "db.esl",
    "db.key",
  ]);
  expect(bytes(directory, "db.key")).toEqual(newKey);
  const { payload, time } = verifyVariable(bytes(directory, "db.auth"), KEY_DATABASES.db, [
    certificate(directory, "KEK.crt"),
  ]);
  expect([subjects(payload), time]).toEqual([["CN=Example db 2,O=Example"], LATER]);
  expect(bytes(directory, "history/0001/before/db.key")).toEqual(oldKey);
  expect(bytes(directory, "history/0002/before/db-old.key")).toEqual(oldKey);
  expect((await showKeys(directory)).problems).toEqual([]);
  expect((await rotate(directory, "db", { signing: { now: new Date("2026-10-02T00:00:00Z") } })).new.subject).toBe(
    "CN=Example db 3,O=Example",
  );
});

test.each<KeyName>(["KEK", "PK"])("a rotated and retired %s leaves nothing amiss", async (name) => {
  const directory = newKeys();
  await rotate(directory, name);
  expect((await showKeys(directory)).problems).toEqual([]);
  await retire(directory, name);
  expect((await showKeys(directory)).problems).toEqual([]);
  expect(readdirSync(directory).filter((file) => /-(?:old|append|update|rotation)/.test(file))).toEqual([]);
});

test("rotateKeys() right after the keys were made gives updates that are later all the same", async () => {
  const directory = newKeys();
  await rotate(directory, "db", { signing: { now: MADE } });
  const { time } = verifyVariable(bytes(directory, "db.auth"), KEY_DATABASES.db, [certificate(directory, "KEK.crt")]);
  expect(time).toEqual(new Date(MADE.getTime() + 1000));
});

test("rotateKeys() takes a certificate whose key is elsewhere", async () => {
  const directory = newKeys();
  const elsewhere = join(place, "elsewhere");
  await generateKeys({ directory: elsewhere, now: MADE, randomBytes, organization: "HSM" });
  await rotate(directory, "db", { newCertificate: join(elsewhere, "db.crt") });
  const { keys, problems } = await showKeys(directory);
  expect(problems).toEqual([]);
  expect(keys.find(({ name }) => name === "db")).toMatchObject({ subject: "CN=HSM db,O=HSM", privateKey: "absent" });
  expect(readdirSync(directory)).not.toContain("db.key");
  expect(readdirSync(directory)).toContain("db-old.key");
});

test("rotateKeys() signs with authorities that are elsewhere", async () => {
  const directory = newKeys();
  const vault = join(place, "vault.key");
  cpSync(join(directory, "KEK.key"), vault);
  unlinkSync(join(directory, "KEK.key"));
  await rotate(directory, "db", { authorities: { KEK: vault } });
  expect((await showKeys(directory)).problems).toEqual([]);
});

describe("an interrupted step", () => {
  test("is finished by whoever comes next", async () => {
    const directory = newKeys();
    await rotate(directory, "db");
    const expected = new Map(readdirSync(join(directory, "history/0001/after")).map((f) => [f, bytes(directory, f)]));
    // As it is when the power fails between the rename of the step and its first file.
    unlinkSync(join(directory, "history/0001/done"));
    for (const file of expected.keys()) rmSync(join(directory, file));
    cpSync(join(directory, "history/0001/before"), directory, { recursive: true });
    expect((await showRotation(directory, "db")).key).toBe("db");
    for (const [file, content] of expected) expect([file, bytes(directory, file)]).toEqual([file, content]);
    expect((await showKeys(directory)).problems).toEqual([]);
  });
});

describe("refused:", () => {
  test.each<[string, string, (directory: string) => Promise<unknown>]>([
    [
      "a second rotation",
      "keys.rotate.underway",
      async (directory) => {
        await rotate(directory, "db");
        return await rotate(directory, "db", { signing: { now: LATER } });
      },
    ],
    [
      "a clock that is behind",
      "keys.clock",
      (directory) => rotate(directory, "db", { signing: { now: new Date("2025-12-31T00:00:00Z") } }),
    ],
    ["an overlap of a century", "keys.rotate.overlap", (directory) => rotate(directory, "db", { overlapDays: 36500 })],
    [
      "the certificate in use",
      "keys.rotate.same-certificate",
      (directory) => rotate(directory, "db", { newCertificate: join(directory, "db.crt") }),
    ],
    [
      "a KEK without its key",
      "keys.rotate.new-key-missing",
      (directory) => rotate(directory, "KEK", { newCertificate: join(directory, "db.crt") }),
    ],
    [
      "a directory without KEK.key",
      "keys.authority-missing",
      async (directory) => {
        unlinkSync(join(directory, "KEK.key"));
        return await rotate(directory, "db");
      },
    ],
    [
      "a key that others can read",
      "keys.unsound",
      async (directory) => {
        chmodSync(join(directory, "KEK.key"), 0o644);
        return await rotate(directory, "db");
      },
    ],
    [
      "files that do not fit together",
      "keys.unsound",
      async (directory) => {
        cpSync(join(directory, "PK.crt"), join(directory, "db.crt"));
        return await rotate(directory, "db");
      },
    ],
    ["a retirement of nothing", "keys.rotate.none", (directory) => retire(directory, "db")],
    [
      "an early retirement",
      "keys.rotate.too-early",
      async (directory) => {
        await rotate(directory, "db");
        return await retire(directory, "db", new Date("2026-07-01T00:00:00Z"));
      },
    ],
    ["an absent directory", "keys.not-found", () => rotate(join(place, "absent"), "db")],
  ])("%s", async (_, code, work) => {
    const directory = newKeys();
    expect(await codeOfAsync(() => work(directory))).toBe(code);
  });
});
