import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { sharedFixture, vector } from "../../test/fixtures.ts";

const program = fileURLToPath(new URL("../../bin/sealwright.cjs", import.meta.url));
const directory = mkdtempSync(join(tmpdir(), "sealwright-ask-"));
const key = join(directory, "encrypted.key");
afterAll(() => rmSync(directory, { recursive: true }));
beforeAll(() => {
  const source = vector("secureboot/keys/test-db.key");
  execFileSync("openssl", ["pkcs8", "-topk8", "-in", source, "-passout", "pass:open sesame", "-out", key]);
  chmodSync(key, 0o600);
});

/** A terminal with nobody but a script in front of it: types when it is asked, and shows what the terminal showed. */
const TERMINAL = `
import os, pty, sys
answer = sys.argv[1].encode().decode("unicode_escape").encode()
process, terminal = pty.fork()
if process == 0:
    os.execv(sys.argv[2], sys.argv[2:])
shown = b""
while True:
    try:
        chunk = os.read(terminal, 4096)
    except OSError:
        break
    if not chunk:
        break
    shown += chunk
    if answer and shown.endswith(b": "):
        os.write(terminal, answer)
        answer = b""
status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
sys.stdout.buffer.write(b"%d\\n" % status + shown)
`;

function signOnTerminal(answer: string): { readonly status: number; readonly shown: string } {
  const input = sharedFixture("secureboot/pe/addon.unsigned.efi");
  const certificate = vector("secureboot/keys/test-db.crt");
  const sign = [
    "sign",
    input,
    "--key",
    key,
    "--cert",
    certificate,
    "--output",
    join(directory, "out.efi"),
    "--overwrite",
  ];
  const argv = ["-c", TERMINAL, answer, process.execPath, program, ...sign];
  const text = execFileSync("/usr/bin/python3", argv, { encoding: "utf8" });
  const end = text.indexOf("\n");
  return { status: Number(text.slice(0, end)), shown: text.slice(end + 1) };
}

test.each([
  ["typed", "open sesame\\r"],
  ["corrected", "open sesx\\x7fame\\r"],
  ["begun again", "wrong\\x15open sesame\\r"],
])("a passphrase that is %s opens the key, and the terminal shows nothing of it", (_, answer) => {
  const { shown, status } = signOnTerminal(answer);
  expect(shown).toMatch(/^Passphrase of private key ".*encrypted\.key": \r\n.*1 signature now/);
  expect(shown).not.toMatch(/ses/);
  expect(status).toBe(0);
  expect(readFileSync(join(directory, "out.efi")).length).toBeGreaterThan(1000);
});

test.each([
  ["a wrong one", "other\\r", "signer.passphrase-wrong", 64],
  ["none", "\\r", "signer.passphrase-needed", 64],
  ["Ctrl-C", "open\\x03", "interrupted", 130],
])("%s is refused", (_, answer, code, expected) => {
  const { shown, status } = signOnTerminal(answer);
  expect(shown).toContain(`cause: ${code}`);
  expect(status).toBe(expected);
});
