import { createPrivateKey, sign } from "node:crypto";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { codeOfAsync } from "../../../../test/code-of.ts";
import { vector } from "../../../../test/fixtures.ts";
import { openSoftHsm, SOFTHSM_MODULE, type SoftHsm } from "../../../../test/softhsm.ts";
import { isSignedWith, parseCertificate } from "../../../formats/x509/index.ts";
import { openPolicyKey, openSigner, type SignerOptions } from "../open-signer.ts";

const now = new Date("2026-06-01T00:00:00Z");
const message = Buffer.from("message");
const keyOf = (name: string): string => vector(`secureboot/keys/test-${name}.key`);
const certificateOf = (name: string): string => vector(`secureboot/keys/test-${name}.crt`);
const derOf = async (name: string) => parseCertificate(await readFile(certificateOf(name))).der;

let directory = "";
let hsm: SoftHsm;
let serials: readonly string[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "sealwright-hsm-"));
  hsm = openSoftHsm(directory);
  hsm.addToken("prod");
  hsm.importKey("prod", "db", "a1", keyOf("db"));
  hsm.importCertificate("prod", "db", "a1", await derOf("db"));
  hsm.importKey("prod", "large", "a2", keyOf("db-rsa4096"));
  hsm.importKey("prod", "curve", "a3", keyOf("db-p256"));
  hsm.importCertificate("prod", "no key", "b1", await derOf("db2"));
  hsm.importKey("prod", "twin", "c1", keyOf("db"));
  hsm.importKey("prod", "twin", "c2", keyOf("db2"));
  const careful = ["--usage-sign", "--always-auth", "--label", "careful", "--id", "d1"];
  hsm.tool("prod", "--keypairgen", "--key-type", "rsa:2048", ...careful);
  serials = [hsm.addToken("same label"), hsm.addToken("same label")];
}, 120_000);
afterAll(() => rm(directory, { recursive: true }));

/** The URI of an object, in the token "prod" unless `path` names another. */
const uri = (path: string, query = ""): string =>
  `pkcs11:${path.includes("token=") ? path : `token=prod;${path}`}?module-path=${SOFTHSM_MODULE}${query}`;

const withPin = (more: Partial<SignerOptions> = {}): SignerOptions => ({
  now,
  env: { SEALWRIGHT_PIN: hsm.pin },
  ...more,
});

async function pinFile(content: string, mode = 0o600): Promise<string> {
  const path = join(directory, `pin.${Math.trunc(performance.now() * 1000)}`);
  await writeFile(path, content);
  await chmod(path, mode);
  return path;
}

describe("openSigner() signs in a token", () => {
  test.each([
    ["RSA-2048", "object=db", "db"],
    ["RSA-4096", "object=large;type=private", "db-rsa4096"],
    ["a key by its id", "id=%A1", "db"],
  ])("with %s", async (_, path, name) => {
    await using signer = await openSigner(uri(path), withPin({ certificatePath: certificateOf(name) }));
    const key = createPrivateKey(await readFile(keyOf(name)));
    expect(Buffer.compare(await signer.sign(message), sign("sha256", message, key))).toBe(0);
    expect(Buffer.compare(await signer.sign(message), sign("sha256", message, key))).toBe(0);
  });

  test("with an elliptic curve, where that is allowed", async () => {
    const options = withPin({ certificatePath: certificateOf("db-p256") });
    expect(await codeOfAsync(() => openSigner(uri("object=curve"), options))).toBe("signer.key-type");
    await using signer = await openSigner(uri("object=curve"), { ...options, allowEllipticCurve: true });
    expect(isSignedWith(signer.certificate.publicKey, "sha256", message, await signer.sign(message))).toBe(true);
  });

  test("with the certificate that is beside the key", async () => {
    await using signer = await openSigner(uri("object=db"), withPin());
    expect(signer.certificate.subject).toBe("CN=test db");
  });

  test("with a key that wants the PIN each time", async () => {
    await using key = await openPolicyKey(uri("object=careful"), withPin());
    for (let time = 0; time < 2; time++) {
      expect(isSignedWith(key.publicKey, "sha256", message, await key.sign(message))).toBe(true);
    }
  });

  test("many at once", async () => {
    await using signer = await openSigner(uri("object=db"), withPin());
    const messages = Array.from({ length: 20 }, (_, index) => Buffer.from(`message ${index}`));
    const signatures = await Promise.all(messages.map((each) => signer.sign(each)));
    const { publicKey } = signer.certificate;
    expect(
      signatures.map((each, index) => isSignedWith(publicKey, "sha256", messages[index] ?? message, each)),
    ).toEqual(messages.map(() => true));
  });

  test("with two signers of one module, one closed before the other", async () => {
    const first = await openSigner(uri("object=db"), withPin());
    await using second = await openPolicyKey(uri("object=curve"), withPin());
    await first[Symbol.asyncDispose]();
    expect(isSignedWith(second.publicKey, "sha256", message, await second.sign(message))).toBe(true);
  });

  test("that is one of two with one label, by its serial number", async () => {
    const [serial] = serials;
    expect(serial).toMatch(/^[0-9a-f]{16}$/);
    const place = (query: string) => openSigner(uri(`token=same%20label;object=db${query}`), withPin());
    expect(await codeOfAsync(() => place(""))).toBe("signer.token-ambiguous");
    expect(await codeOfAsync(() => place(`;serial=${serial}`))).toBe("signer.key-absent");
  });
});

test("openPolicyKey() takes the public key from the token", async () => {
  await using key = await openPolicyKey(uri("object=curve"), withPin());
  const expected = parseCertificate(await readFile(certificateOf("db-p256"))).publicKey;
  expect(Buffer.compare(key.publicKey.spki, expected.spki)).toBe(0);
});

describe("the PIN comes from", () => {
  test.each([
    ["a file that the URI names", async () => [`&pin-source=file:${await pinFile(`${hsm.pin}\n`)}`, {}] as const],
    ["a path that the URI names", async () => [`&pin-source=${await pinFile(hsm.pin)}`, {}] as const],
    ["whoever is asked", async () => ["", { askSecret: async () => hsm.pin }] as const],
  ])("%s", async (_, prepare) => {
    const [query, options] = await prepare();
    await using signer = await openSigner(uri("object=db", query), { now, ...options });
    expect((await signer.sign(message)).length).toBe(256);
  });

  test("the URI itself, with a warning that does not hold it", async () => {
    const warnings: string[] = [];
    const options = { now, warn: (text: string) => warnings.push(text) };
    await using signer = await openSigner(uri("object=db", `&pin-value=${hsm.pin}`), options);
    expect(warnings).toEqual([expect.stringContaining("pin-value")]);
    expect(inspect([warnings, signer], { depth: 9, showHidden: true })).not.toContain(hsm.pin);
  });
});

describe("openSigner() refuses with", () => {
  const refusals: readonly (readonly [code: string, what: string, () => Promise<unknown>])[] = [
    ["signer.pin-wrong", "a wrong PIN", () => openSigner(uri("object=db"), { now, env: { SEALWRIGHT_PIN: "0000" } })],
    ["signer.pin-needed", "no PIN", () => openSigner(uri("object=db"), { now })],
    [
      "signer.key-permissions",
      "a PIN file that others read",
      async () => openSigner(uri("object=db", `&pin-source=file:${await pinFile(hsm.pin, 0o644)}`), { now }),
    ],
    [
      "signer.secret-empty",
      "an empty PIN file",
      async () => openSigner(uri("object=db", `&pin-source=file:${await pinFile("")}`), { now }),
    ],
    ["signer.reference", "a PIN program", () => openSigner(uri("object=db", "&pin-source=|/bin/pin"), { now })],
    ["signer.reference", "a public key", () => openSigner(uri("object=db;type=public"), { now })],
    ["signer.token-absent", "a token that is not there", () => openSigner(uri("token=none;object=db"), withPin())],
    ["signer.token-absent", "another library", () => openSigner(uri("token=prod;library-manufacturer=x"), withPin())],
    ["signer.key-absent", "a key that is not there", () => openSigner(uri("object=none"), withPin())],
    ["signer.key-absent", "a certificate without a key", () => openSigner(uri("object=no%20key"), withPin())],
    ["signer.key-ambiguous", "two keys of one label", () => openSigner(uri("object=twin"), withPin())],
    ["signer.certificate-missing", "a key without a certificate", () => openSigner(uri("object=large"), withPin())],
    [
      "signer.key-certificate-mismatch",
      "another key's certificate",
      () => openSigner(uri("object=db"), withPin({ certificatePath: certificateOf("db2") })),
    ],
    ["signer.reference", "a module in a relative path", () => openSigner("pkcs11:token=a?module-path=a.so", { now })],
    ["signer.reference", "a module name that is a path", () => openSigner("pkcs11:?module-name=/a.so", { now })],
    ["signer.pkcs11-module-absent", "no such module", () => openSigner("pkcs11:?module-path=/none.so", { now })],
    ["signer.pkcs11-module-absent", "no module of a name", () => openSigner("pkcs11:?module-name=none", { now })],
    ["signer.pkcs11-module", "a file that is no module", () => openSigner("pkcs11:?module-path=/etc/passwd", { now })],
    [
      "signer.pkcs11-module",
      "a library that is no module",
      () => openSigner("pkcs11:?module-path=/lib/x86_64-linux-gnu/libc.so.6", { now }),
    ],
    ["pkcs11-uri.unknown", "a malformed URI", () => openSigner("pkcs11:tokn=a", { now })],
  ];
  test.each(refusals)("%s: %s", async (code, _, open) => {
    expect(await codeOfAsync(open)).toBe(code);
  });

  test("nothing of the PIN in what is thrown", async () => {
    const wrong = "97531-wrong";
    const open = openSigner(uri("object=db", `&pin-value=${wrong}`), { now });
    const error = await open.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ code: "signer.pin-wrong" });
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(wrong);
  });
});

test("a module that is not named is found by name, and among the usual ones", async () => {
  for (const query of ["", "?module-name=softhsm2"]) {
    await using signer = await openSigner(`pkcs11:token=prod;object=db${query}`, withPin());
    expect(signer.certificate.subject).toBe("CN=test db");
  }
  const env = { SEALWRIGHT_PIN: hsm.pin, PKCS11_MODULE_PATH: SOFTHSM_MODULE };
  await using signer = await openSigner("pkcs11:token=prod;object=db", { now, env });
  expect((await signer.sign(message)).length).toBe(256);
});

test("a token that only pads is given the DigestInfo", async () => {
  const settings = "slots.mechanisms = CKM_RSA_PKCS";
  openSoftHsm(directory, settings);
  try {
    await using signer = await openSigner(uri("object=db"), withPin());
    expect(hsm.tool("prod", "--list-mechanisms")).not.toContain("SHA256-RSA-PKCS");
    const key = createPrivateKey(await readFile(keyOf("db")));
    expect(Buffer.compare(await signer.sign(message), sign("sha256", message, key))).toBe(0);
  } finally {
    openSoftHsm(directory);
  }
});
