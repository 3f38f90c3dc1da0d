import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { codeOfAsync } from "../../../test/code-of.ts";
import { redact } from "./exec/redact.ts";
import { requireSecret } from "./secrets.ts";

let directory = "";
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "sealwright-secrets-"));
});
afterAll(() => rm(directory, { recursive: true }));

const now = new Date(0);
const question = { kind: "passphrase", opens: "it" } as const;

test("requireSecret() looks into the file, then the environment, then asks", async () => {
  const path = join(directory, "passphrase");
  await writeFile(path, "from the file\r\nsecond line\n", { mode: 0o600 });
  const context = { now, env: { SEALWRIGHT_PASSPHRASE: "from the environment" }, askSecret: async () => "asked" };
  expect(await requireSecret(question, path, context)).toBe("from the file");
  expect(await requireSecret(question, undefined, context)).toBe("from the environment");
  expect(await requireSecret(question, undefined, { ...context, env: {} })).toBe("asked");
  expect(await codeOfAsync(() => requireSecret(question, undefined, { now }))).toBe("signer.passphrase-needed");
  const nobody = { now, askSecret: async () => undefined };
  expect(await codeOfAsync(() => requireSecret(question, undefined, nobody))).toBe("signer.passphrase-needed");
});

test("requireSecret() takes no file that others can read, unless that is allowed", async () => {
  const path = join(directory, "loose");
  await writeFile(path, "secret", { mode: 0o640 });
  expect(await codeOfAsync(() => requireSecret(question, path, { now }))).toBe("signer.key-permissions");
  expect(await requireSecret(question, path, { now, allowLooseKeyPermissions: true })).toBe("secret");
});

test("redact() takes out values of secret variables, longer ones first, and leaves the rest", () => {
  const env = { MY_TOKEN: "abcd", API_KEY: "abcdefgh", DB_PASSWORD: "x", HOME: "/root", USER_PIN: "9876" };
  expect(redact("abcdefgh abcd x /root 9876", env)).toBe("[API_KEY] [MY_TOKEN] x /root [USER_PIN]");
});
