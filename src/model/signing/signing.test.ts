import { execFileSync } from "node:child_process";
import { createPrivateKey, sign } from "node:crypto";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { vector } from "../../../test/fixtures.ts";
import { buildCertificate, encodePem, isSelfSigned, isSignedWith } from "../../formats/x509/index.ts";
import { SealwrightError } from "../../lib/errors.ts";
import { openEphemeralSigner } from "./ephemeral-signer.ts";
import { openSigner, type SignerOptions } from "./open-signer.ts";

const now = new Date("2026-06-01T00:00:00Z");
const message = Buffer.from("message");
let directory = "";
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "sealwright-signing-"));
});
afterAll(() => rm(directory, { recursive: true }));

let copies = 0;
/** A copy of a test key that only its owner can read. */
async function privateCopy(name: string, convert: string[] = []): Promise<string> {
  const source = vector(`secureboot/keys/test-${name}.key`);
  const path = join(directory, `${name}.${copies++}.key`);
  await writeFile(
    path,
    convert.length === 0 ? await readFile(source) : execFileSync("openssl", [...convert, "-in", source]),
  );
  await chmod(path, 0o600);
  return path;
}

const crt = (name: string): string => vector(`secureboot/keys/test-${name}.crt`);

type Options = SignerOptions & { readonly keyPath: string };
const openFile = ({ keyPath, ...options }: Options) => openSigner(keyPath, options);

async function refusal(options: Options): Promise<SealwrightError> {
  try {
    await openFile(options);
  } catch (error) {
    if (error instanceof SealwrightError) return error;
    throw error;
  }
  throw new Error("was accepted");
}

describe("openSigner() signs with", () => {
  test.each([
    ["PKCS#8", "db", []],
    ["PKCS#1", "db", ["rsa", "-traditional"]],
    ["RSA-4096", "db-rsa4096", []],
  ])("a key in %s", async (_, name, convert) => {
    const keyPath = await privateCopy(name, convert);
    await using signer = await openFile({ keyPath, certificatePath: crt(name), now });
    const key = createPrivateKey(await readFile(vector(`secureboot/keys/test-${name}.key`)));
    expect(signer.certificate.subject).toContain("CN=test db");
    expect(Buffer.compare(await signer.sign(message), sign("sha256", message, key))).toBe(0);
  });

  test.each([
    ["PKCS#8", ["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-passout", "pass:open sesame"]],
    ["a traditional file", ["rsa", "-traditional", "-aes256", "-passout", "pass:open sesame"]],
  ])("an encrypted key in %s, and asks for its passphrase", async (_, convert) => {
    const keyPath = await privateCopy("db", convert);
    const base = { keyPath, certificatePath: crt("db"), now };
    await using signer = await openFile({ ...base, askSecret: async () => "open sesame" });
    expect(isSignedWith(signer.certificate.publicKey, "sha256", message, await signer.sign(message))).toBe(true);
    expect((await refusal(base)).code).toBe("signer.passphrase-needed");
    const wrong = await refusal({ ...base, askSecret: async () => "open barley" });
    expect(wrong.code).toBe("signer.passphrase-wrong");
    expect(inspect(wrong, { depth: 9 })).not.toMatch(/sesame|barley/);
  });

  test("an elliptic curve key in SEC1, where that is allowed", async () => {
    const keyPath = await privateCopy("db-p256", ["ec"]);
    const base = { keyPath, certificatePath: crt("db-p256"), now };
    expect((await refusal(base)).code).toBe("signer.key-type");
    await using signer = await openFile({ ...base, allowEllipticCurve: true });
    expect(isSignedWith(signer.certificate.publicKey, "sha256", message, await signer.sign(message))).toBe(true);
  });
});

describe("openSigner() refuses", () => {
  test("the key of another certificate", async () => {
    const keyPath = await privateCopy("db2");
    expect((await refusal({ keyPath, certificatePath: crt("db"), now })).code).toBe("signer.key-certificate-mismatch");
  });

  test.each([
    ["exp", now, "signer.certificate-expired"],
    ["db", new Date("2023-12-31T23:59:59Z"), "signer.certificate-not-yet-valid"],
  ])("a certificate out of its validity, unless told: %s at %s", async (name, at, code) => {
    const options = { keyPath: await privateCopy(name), certificatePath: crt(name), now: at };
    expect((await refusal(options)).code).toBe(code);
    await using signer = await openFile({ ...options, allowExpiredCertificate: true });
    expect(signer.certificate.subject).toContain(`CN=test ${name}`);
  });

  test.each([0o640, 0o604, 0o620])("a key file of mode %o, unless told", async (mode) => {
    const options = { keyPath: await privateCopy("db"), certificatePath: crt("db"), now };
    await chmod(options.keyPath, mode);
    expect((await refusal(options)).code).toBe("signer.key-permissions");
    await using signer = await openFile({ ...options, allowLooseKeyPermissions: true });
    expect(signer.certificate.subject).toBe("CN=test db");
  });

  test("an RSA key of 1024 bits", async () => {
    const keyPath = join(directory, "weak.key");
    await writeFile(keyPath, execFileSync("openssl", ["genrsa", "1024"], { stdio: "pipe" }), { mode: 0o600 });
    const key = createPrivateKey(await readFile(keyPath));
    const publicKey = execFileSync("openssl", ["rsa", "-in", keyPath, "-pubout", "-outform", "DER"], { stdio: "pipe" });
    const validity = { notBefore: new Date("2020-01-01"), notAfter: new Date("2040-01-01") };
    const request = { ...validity, subject: { commonName: "weak" }, serial: 1n, publicKey, use: "signature" as const };
    const certificate = await buildCertificate(request, async (bytes) => sign("sha256", bytes, key));
    const certificatePath = join(directory, "weak.crt");
    await writeFile(certificatePath, encodePem("CERTIFICATE", certificate.der));
    expect((await refusal({ keyPath, certificatePath, now })).code).toBe("signer.key-too-weak");
  });

  test("a file that is no key, and says nothing of what is in it", async () => {
    const keyPath = join(directory, "no.key");
    await writeFile(keyPath, "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n", { mode: 0o600 });
    const error = await refusal({ keyPath, certificatePath: crt("db"), now });
    expect(error.code).toBe("signer.key-unreadable");
    expect(error.cause).toBeUndefined();
    expect(inspect(error, { depth: 9 })).not.toMatch(/c2Vjc|secret/);
  });

  test("files that are absent, or too large for a key", async () => {
    const keyPath = join(directory, "large.key");
    await writeFile(keyPath, Buffer.alloc(70_000), { mode: 0o600 });
    expect((await refusal({ keyPath, certificatePath: crt("db"), now })).code).toBe("signer.file-too-large");
    expect((await refusal({ keyPath: join(directory, "none"), certificatePath: crt("db"), now })).code).toBe(
      "input.not-found",
    );
    expect((await refusal({ keyPath, certificatePath: join(directory, "none"), now })).code).toBe("input.not-found");
  });
});

test("a signer shows nothing of its key", async () => {
  const keyPath = await privateCopy("db");
  await using signer = await openFile({ keyPath, certificatePath: crt("db"), now });
  expect(inspect(signer, { depth: 9, showHidden: true })).not.toMatch(/KeyObject|PRIVATE/);
  expect(JSON.stringify(Object.keys(signer))).toBe('["certificate","sign"]');
});

test("openEphemeralSigner() makes a signer with a certificate of its own", async () => {
  const validity = { notBefore: new Date("2026-01-01"), notAfter: new Date("2026-02-01") };
  const request = { ...validity, subject: { commonName: "trial" }, serial: 5n, use: "signature" as const };
  await using signer = await openEphemeralSigner(request);
  expect(signer.certificate.subject).toBe("CN=trial");
  expect(isSelfSigned(signer.certificate)).toBe(true);
  expect(isSignedWith(signer.certificate.publicKey, "sha256", message, await signer.sign(message))).toBe(true);
});
