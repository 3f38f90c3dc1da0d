import { createPrivateKey, sign } from "node:crypto";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { codeOfAsync } from "../../../../test/code-of.ts";
import { vector } from "../../../../test/fixtures.ts";
import { isSignedWith } from "../../../formats/x509/index.ts";
import { CommandError } from "../../../lib/errors.ts";
import { openPolicyKey, openSigner } from "../open-signer.ts";
import { openExecKey } from "./exec-key.ts";
import { splitWords } from "./split-words.ts";

const now = new Date("2026-06-01T00:00:00Z");
const message = Buffer.from("message");
const keyOf = (name: string): string => vector(`secureboot/keys/test-${name}.key`);
const certificateOf = (name: string): string => vector(`secureboot/keys/test-${name}.crt`);
const env = { PATH: process.env["PATH"] };

let directory = "";
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "sealwright-exec-"));
});
afterAll(() => rm(directory, { recursive: true }));

async function program(script: string): Promise<string> {
  const path = join(directory, `signer ${Math.trunc(performance.now() * 1000)}`);
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o700);
  return `exec:'${path}'`;
}

describe("openSigner() lets a program sign", () => {
  test.each(["db", "db-rsa3072", "db-rsa4096"])("with openssl and the key of %s", async (name) => {
    const reference = `exec:openssl pkeyutl -sign -inkey '${keyOf(name)}' -pkeyopt digest:sha256`;
    await using signer = await openSigner(reference, { certificatePath: certificateOf(name), now, env });
    const expected = sign("sha256", message, createPrivateKey(await readFile(keyOf(name))));
    expect(Buffer.compare(await signer.sign(message), expected)).toBe(0);
  });

  test("with an elliptic curve", async () => {
    const reference = `exec:openssl pkeyutl -sign -inkey ${keyOf("db-p256")}`;
    const options = { certificatePath: certificateOf("db-p256"), now, env, allowEllipticCurve: true };
    await using signer = await openSigner(reference, options);
    expect(isSignedWith(signer.certificate.publicKey, "sha256", message, await signer.sign(message))).toBe(true);
  });

  test("which learns the algorithm, and none of the secrets that are meant for us", async () => {
    const reference = await program(
      `cat >/dev/null; env | grep -E 'SEALWRIGHT|MARK' | sort >'${directory}/env'; exit 1`,
    );
    const secrets = { ...env, SEALWRIGHT_PIN: "1234", SEALWRIGHT_PASSPHRASE: "sesame", MARK: "kept" };
    await using signer = await openSigner(reference, { certificatePath: certificateOf("db"), now, env: secrets });
    expect(await codeOfAsync(() => signer.sign(message))).toBe("signer.exec-failed");
    expect((await readFile(join(directory, "env"), "utf8")).split("\n")).toEqual([
      "MARK=kept",
      "SEALWRIGHT_SIGN_ALGORITHM=RSASSA_PKCS1_V1_5_SHA_256",
      "SEALWRIGHT_SIGN_KEY=RSA-2048",
      "",
    ]);
  });
});

describe("a program is refused", () => {
  test.each([
    [
      "signer.signature-wrong",
      "that signs with another key",
      `openssl pkeyutl -sign -inkey '${keyOf("db2")}' -pkeyopt digest:sha256`,
    ],
    [
      "signer.signature-wrong",
      "that signs another digest",
      `head -c 32 /dev/zero | openssl pkeyutl -sign -inkey '${keyOf("db")}' -pkeyopt digest:sha256`,
    ],
    ["signer.signature-wrong", "that hashes the digest again", `openssl dgst -sha256 -sign '${keyOf("db")}'`],
    ["signer.signature-wrong", "that writes nothing", "cat >/dev/null"],
    [
      "signer.signature-wrong",
      "that writes base64",
      `openssl pkeyutl -sign -inkey '${keyOf("db")}' -pkeyopt digest:sha256 | base64`,
    ],
    ["signer.exec-failed", "that writes without end", "cat /dev/zero"],
    ["signer.exec-failed", "that fails", "exit 3"],
    ["signer.exec-failed", "that is killed", "kill -9 $$"],
  ])("with %s: %s", async (code, _, script) => {
    await using signer = await openSigner(await program(script), { certificatePath: certificateOf("db"), now, env });
    expect(await codeOfAsync(() => signer.sign(message))).toBe(code);
  });

  test("that is not there, that is not named, and whose public key nobody tells", async () => {
    const certificatePath = certificateOf("db");
    await using signer = await openSigner("exec:/nonexistent/signer", { certificatePath, now });
    expect(await codeOfAsync(() => signer.sign(message))).toBe("signer.exec-failed");
    for (const reference of ["exec:", "exec:  ", "exec:a 'b"]) {
      expect(await codeOfAsync(() => openSigner(reference, { certificatePath, now }))).toBe("signer.reference");
    }
    expect(await codeOfAsync(() => openSigner("exec:a", { now }))).toBe("signer.certificate-missing");
    expect(await codeOfAsync(() => openPolicyKey("exec:a", { now }))).toBe("signer.public-key-unknown");
  });

  test("that takes too long, and when the user has had enough", async () => {
    const facts = { kind: "rsa", bits: 2048, exponent: 65537n } as const;
    await using slow = await openExecKey(await program("exec sleep 60"), { now, env }, 50);
    expect(await codeOfAsync(() => slow.sign(message, facts))).toBe("signer.exec-timeout");
    const controller = new AbortController();
    const options = { now, env, signal: controller.signal };
    await using stopped = await openExecKey(await program("exec sleep 60"), options);
    const signing = codeOfAsync(() => stopped.sign(message, facts));
    controller.abort();
    expect(await signing).toBe("interrupted");
  });

  test("with its own words, from which secrets of the environment are taken", async () => {
    const secret = "hunter22-in-the-environment";
    const reference = await program(`echo "login with $MY_TOKEN failed" >&2; exit 1`);
    const options = { certificatePath: certificateOf("db"), now, env: { ...env, MY_TOKEN: secret } };
    await using signer = await openSigner(`${reference} --password=on-the-command-line`, options);
    const error: unknown = await signer.sign(message).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(CommandError);
    expect((error as Error).message).toContain("login with [MY_TOKEN] failed");
    expect(inspect(error, { depth: 9, showHidden: true })).not.toMatch(/hunter22|on-the-command-line/);
  });
});

test.each([
  ["a b  c", ["a", "b", "c"]],
  ["  a ", ["a"]],
  ["'a b' \"c d\"e", ["a b", "c de"]],
  ['a\\ b "c\\"d\\e"', ["a b", 'c"d\\e']],
  ["'' \"\"", ["", ""]],
  ["a$HOME*;|", ["a$HOME*;|"]],
  ["", []],
  ["'a", undefined],
  ['a"b', undefined],
  ["a\\", undefined],
])("splitWords(%s)", (text, words) => {
  expect(splitWords(text)).toEqual(words);
});
