import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { codeOfAsync } from "../../../test/code-of.ts";
import { openSigner } from "../../model/signing/index.ts";
import { type CertifyOptions, certifyKey } from "./certify-key.ts";
import { generateKeys } from "./generate-keys.ts";

const now = new Date("2026-06-01T12:34:56Z");
const directory = mkdtempSync(join(tmpdir(), "sealwright-certify-"));
const keys = join(directory, "keys");
const place = (name: string): string => join(keys, name);
beforeAll(() => generateKeys({ directory: keys, now, randomBytes }));
afterAll(() => rmSync(directory, { recursive: true }));

const certify = (more: Partial<CertifyOptions> = {}) =>
  certifyKey({
    key: place("db.key"),
    output: join(directory, "certified.crt"),
    commonName: "Elsewhere",
    overwrite: true,
    now,
    randomBytes,
    env: { PATH: process.env["PATH"] },
    ...more,
  });

test("certifyKey() makes a certificate that openssl takes for that of the key", async () => {
  const report = await certify({ organization: "Example", years: 3 });
  expect(report).toMatchObject({ subject: "CN=Elsewhere,O=Example", key: "RSA-2048" });
  expect(Number(report.notAfter.slice(0, 4)) - Number(report.notBefore.slice(0, 4))).toBe(3);
  const { output } = report;
  const said = execFileSync("openssl", ["verify", "-check_ss_sig", "-CAfile", output, output], { encoding: "utf8" });
  expect(said).toContain("OK");
  const publicKey = execFileSync("openssl", ["x509", "-in", output, "-noout", "-pubkey"], { encoding: "utf8" });
  const key = place("db.key");
  expect(publicKey).toBe(execFileSync("openssl", ["pkey", "-in", key, "-pubout"], { encoding: "utf8" }));
  await using signer = await openSigner(key, { now, certificatePath: output });
  expect(signer.certificate.subject).toBe(report.subject);
});

test("certifyKey() takes the public key of a program from a file, and finds out when it is another's", async () => {
  for (const name of ["db", "KEK"]) {
    execFileSync("openssl", ["pkey", "-in", place(`${name}.key`), "-pubout", "-out", place(`${name}.pub`)]);
  }
  const key = `exec:openssl pkeyutl -sign -inkey '${place("db.key")}' -pkeyopt digest:sha256`;
  expect(await codeOfAsync(() => certify({ key }))).toBe("signer.public-key-unknown");
  expect(await codeOfAsync(() => certify({ key, publicKeyPath: place("db.pub") }))).toBe("accepted");
  expect(await codeOfAsync(() => certify({ key, publicKeyPath: place("KEK.pub") }))).toBe("signer.signature-wrong");
  expect(await codeOfAsync(() => certify({ key, publicKeyPath: place("none") }))).toBe("input.not-found");
  expect(await codeOfAsync(() => certify({ key, publicKeyPath: place("db.auth") }))).toBe("keys.public-key");
  expect(await codeOfAsync(() => certify({ overwrite: false }))).toBe("output.exists");
  expect(await codeOfAsync(() => certify({ years: 0 }))).toBe("keys.years");
});
