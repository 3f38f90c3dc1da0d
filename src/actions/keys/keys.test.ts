import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sharedFixture } from "../../../test/fixtures.ts";
import { parseGuid } from "../../lib/bytes/guid.ts";
import { SealwrightError } from "../../lib/errors.ts";
import { type GenerateKeysOptions, generateKeys } from "./generate-keys.ts";
import { showKeys } from "./show-keys.ts";

const guid = "11111111-2222-3333-4444-123456789abc";
let place = "";
let keys = "";
let counter = 0;
/** Bytes that are as good as random for this purpose, and the same in every run. */
const randomBytes = (size: number): Uint8Array =>
  createHash("sha512").update(String(counter++)).digest().subarray(0, size);
const base = { now: new Date("2026-06-01T12:34:56.789Z"), randomBytes, organization: "Example" } as const;

beforeAll(async () => {
  place = await mkdtemp(join(tmpdir(), "sealwright-keys-"));
  keys = join(place, "keys");
  await generateKeys({ ...base, directory: keys, owner: parseGuid(guid) });
});
afterAll(() => rm(place, { recursive: true }));

const run = (tool: string, ...args: string[]): string =>
  execFileSync(tool, args, { cwd: keys, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

async function refusal(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof SealwrightError) return error.code;
  throw error ?? new Error("was accepted");
}

async function copyOfKeys(): Promise<string> {
  const copy = join(place, `copy-${counter++}`);
  await cp(keys, copy, { recursive: true });
  return copy;
}

const swap = (from: string, to: string) => async (copy: string) => {
  await cp(join(copy, from), join(copy, to), { force: true });
};

async function resign(copy: string): Promise<void> {
  const signer = ["-k", "db.key", "-c", "db.crt"];
  execFileSync("sign-efi-sig-list", [...signer, "db", "db.esl", "db.auth"], { cwd: copy, stdio: "pipe" });
}

test("generateKeys() writes the files of the layout, private keys for their owner alone", async () => {
  const kinds = ["auth", "cer", "crt", "esl", "key"];
  expect((await readdir(keys)).sort()).toEqual(
    ["GUID.txt", ...["KEK", "PK", "db"].flatMap((name) => kinds.map((kind) => `${name}.${kind}`))].sort(),
  );
  for (const name of ["PK", "KEK", "db"]) expect((await stat(join(keys, `${name}.key`))).mode & 0o777).toBe(0o600);
  expect(await readFile(join(keys, "GUID.txt"), "utf8")).toBe(`${guid}\n`);
});

test("showKeys() reports what was generated, with nothing amiss", async () => {
  const shown = await showKeys(keys);
  expect(shown).toMatchObject({ owner: guid, problems: [] });
  const common = { key: "RSA-2048", notBefore: "2026-06-01T12:34:56.000Z", notAfter: "2046-06-01T12:34:56.000Z" };
  const time = "2026-06-01T12:34:56.000Z";
  expect(shown.keys).toMatchObject([
    {
      ...common,
      name: "PK",
      subject: "CN=Example PK,O=Example",
      privateKey: "present",
      update: { signedBy: "PK", time },
    },
    { ...common, name: "KEK", subject: "CN=Example KEK,O=Example", update: { signedBy: "PK", time } },
    { ...common, name: "db", subject: "CN=Example db,O=Example", update: { signedBy: "KEK", time } },
  ]);
});

describe("other tools take the files:", () => {
  test.each(["PK", "KEK", "db"])("openssl reads and verifies %s", (name) => {
    expect(
      run("openssl", "verify", "-x509_strict", "-check_ss_sig", "-CAfile", `${name}.crt`, `${name}.crt`),
    ).toContain("OK");
    expect(run("openssl", "pkey", "-in", `${name}.key`, "-check", "-noout")).toContain("valid");
    expect(run("openssl", "pkey", "-in", `${name}.key`, "-pubout")).toBe(
      run("openssl", "x509", "-in", `${name}.crt`, "-pubkey", "-noout"),
    );
  });

  test.each([
    ["PK", "PK"],
    ["KEK", "PK"],
    ["db", "KEK"],
  ])("efitools make the same %s.esl and %s.auth", async (name, signer) => {
    run("cert-to-efi-sig-list", "-g", guid, `${name}.crt`, join(place, "theirs.esl"));
    expect(await readFile(join(place, "theirs.esl"))).toEqual(await readFile(join(keys, `${name}.esl`)));
    const time = ["-t", "2026-06-01 12:34:56"];
    execFileSync(
      "sign-efi-sig-list",
      [...time, "-k", `${signer}.key`, "-c", `${signer}.crt`, name, `${name}.esl`, join(place, "theirs.auth")],
      { cwd: keys, env: { ...process.env, TZ: "UTC" }, stdio: "pipe" },
    );
    expect(await readFile(join(place, "theirs.auth"))).toEqual(await readFile(join(keys, `${name}.auth`)));
  });

  test("sbsign signs with db, sbverify accepts", () => {
    const signed = join(place, "signed.efi");
    run(
      "sbsign",
      "--key",
      "db.key",
      "--cert",
      "db.crt",
      "--output",
      signed,
      sharedFixture("secureboot/pe/addon.unsigned.efi"),
    );
    run("sbverify", "--cert", "db.crt", signed);
  });
});

describe("generateKeys()", () => {
  test("takes an empty directory, a size, a name and years", async () => {
    const directory = join(place, "deep", "empty");
    await mkdir(directory, { recursive: true });
    const made = await generateKeys({ ...base, directory, bits: 3072, commonName: "Fleet 7", years: 5 });
    expect(made.keys[0]).toMatchObject({
      key: "RSA-3072",
      subject: "CN=Fleet 7 PK,O=Example",
      notAfter: "2031-06-01T12:34:56.000Z",
    });
    expect(made.owner).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  test("replaces nothing, and leaves nothing behind when it refuses", async () => {
    const directory = join(place, "occupied");
    await mkdir(directory);
    await writeFile(join(directory, "db.key"), "precious");
    await writeFile(join(place, "file"), "precious");
    expect(await refusal(generateKeys({ ...base, directory }))).toBe("keys.exists");
    expect(await refusal(generateKeys({ ...base, directory: join(place, "file") }))).toBe("keys.exists");
    expect(await readdir(directory)).toEqual(["db.key"]);
    expect((await readdir(place)).filter((name) => name.startsWith("."))).toEqual([]);
  });

  test.each<[string, Partial<GenerateKeysOptions>]>([
    ["keys.years", { years: 0 }],
    ["keys.years", { years: 101 }],
    ["keys.years", { years: 1.5 }],
    ["keys.name", { commonName: "" }],
    ["keys.name", { organization: "two\nlines" }],
    ["keys.name", { commonName: "x".repeat(61) }],
  ])("refuses with %s: %o", async (code, options) => {
    expect(await refusal(generateKeys({ ...base, directory: join(place, "never"), ...options }))).toBe(code);
  });

  test("stops when it is told to, and leaves nothing behind", async () => {
    const directory = join(place, "stopped");
    expect(await refusal(generateKeys({ ...base, directory, signal: AbortSignal.abort() }))).toBe("interrupted");
    expect((await readdir(place)).filter((name) => name.includes("stopped"))).toEqual([]);
  });
});

describe("showKeys() names what does not fit:", () => {
  test.each<[string, string, (copy: string) => Promise<void>]>([
    ["db.auth", "efivars.signature.untrusted", resign],
    ["db.auth", "cms.signature.invalid", swap("KEK.auth", "db.auth")],
    ["KEK.auth", "keys.auth.signer-absent", (copy) => rm(join(copy, "PK.crt"))],
    ["db.cer", "keys.cer.other-certificate", swap("PK.cer", "db.cer")],
    ["db.esl", "keys.esl.other-content", swap("PK.esl", "db.esl")],
    ["db.key", "signer.key-certificate-mismatch", swap("PK.key", "db.key")],
    ["db.key", "signer.key-permissions", (copy) => chmod(join(copy, "db.key"), 0o644)],
  ])("%s: %s", async (file, code, change) => {
    const copy = await copyOfKeys();
    await change(copy);
    expect((await showKeys(copy)).problems).toContainEqual(expect.objectContaining({ file, code }));
  });

  test("nothing, where there are certificates alone, or an encrypted key", async () => {
    const copy = await copyOfKeys();
    const encrypt = ["pkcs8", "-topk8", "-passout", "pass:x", "-in", join(keys, "db.key"), "-out", "db.key"];
    execFileSync("openssl", encrypt, { cwd: copy, stdio: "pipe" });
    for (const file of ["GUID.txt", "PK.key", "PK.cer", "PK.esl", "PK.auth"]) await rm(join(copy, file));
    const shown = await showKeys(copy);
    expect(shown).toMatchObject({ owner: undefined, problems: [] });
    expect(shown.keys.map(({ privateKey }) => privateKey)).toEqual(["absent", "present", "encrypted"]);
    expect(shown.keys[0]?.update).toBeUndefined();
  });

  test("and refuses a directory without keys", async () => {
    const empty = await mkdtemp(join(place, "none-"));
    expect(await refusal(showKeys(empty))).toBe("keys.not-found");
  });
});
