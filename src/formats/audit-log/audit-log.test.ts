import { generateKeyPairSync, sign } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { codeOf } from "../../../test/code-of.ts";
import { SealwrightError } from "../../lib/errors.ts";
import { fingerprintOf } from "../signing-request/index.ts";
import { parsePublicKey } from "../x509/index.ts";
import {
  type AuditEntry,
  type AuditFacts,
  AuditVerifier,
  encodeAuditLine,
  hashLine,
  type LogKey,
  makeAuditHead,
  makeAuditLine,
  parseAuditHead,
  parseAuditLine,
  verifyAuditHead,
} from "./index.ts";

const TIME = new Date("2026-06-01T00:00:00Z");

function newKey(curve = "P-256") {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: curve });
  const spki = parsePublicKey(publicKey.export({ format: "der", type: "spki" }));
  const key: LogKey = {
    fingerprint: fingerprintOf(spki),
    algorithm: "ecdsa-p256-sha256",
    sign: async (message) => sign("sha256", message, { key: privateKey, dsaEncoding: "ieee-p1363" }),
  };
  return { key, publicKey: spki };
}

const { key, publicKey } = newKey();

const facts = (name: string): AuditFacts => ({
  event: "signed",
  request: "ab".repeat(32),
  round: "image",
  name,
  image: { source: name, manifestDigest: `sha256:${"12".repeat(32)}` as never, platform: "linux/amd64" },
  os: { id: "debian", version: "13" },
  kernel: "6.12",
  items: [{ role: "uki", name: "6.12.efi", digest: "cd".repeat(32), signature: "ef".repeat(32) }],
  certificate: "01".repeat(32),
  approvals: [],
});

async function newLog(count: number, logKey = key): Promise<Uint8Array[]> {
  const lines: Uint8Array[] = [];
  for (let index = 0; index < count; index++) {
    lines.push(await makeAuditLine(lines.at(-1), facts(`example/os-${index}`), TIME, logKey));
  }
  return lines;
}

function verify(
  lines: readonly Uint8Array[],
  expected: { sequence: number; line: string }[] = [],
  trusted = publicKey,
) {
  const verifier = new AuditVerifier(trusted, expected);
  for (const line of lines) verifier.next(line);
  return verifier.end();
}

const log = await newLog(5);
const [one, two, three, four, five] = log as [Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array];
const head = parseAuditHead(await makeAuditHead(five, key));

test("AuditVerifier follows a log to its end", () => {
  expect(verify(log, [head])).toEqual({ sequence: 4, line: hashLine(five) });
  expect(verify([])).toBeUndefined();
  expect(verifyAuditHead(head, publicKey)).toMatchObject({ sequence: 4, line: hashLine(five) });
});

const edited = (line: Uint8Array, change: Partial<AuditEntry>) =>
  encodeAuditLine({ ...parseAuditLine(line), ...change });

test.each<[string, () => unknown, string]>([
  ["an edited line", () => verify([one, edited(two, { kernel: "6.13" }), three]), "audit.entry-edited"],
  ["a line with other white space", () => verify([Buffer.concat([one, Buffer.from(" ")])]), "audit.entry-edited"],
  ["lines in another order", () => verify([one, three, two]), "audit.sequence"],
  ["a line left out", () => verify([one, three]), "audit.sequence"],
  ["the first line left out", () => verify([two]), "audit.sequence"],
  ["a line twice", () => verify([one, one]), "audit.sequence"],
  ["the end cut off", () => verify([one, two, three, four], [head]), "audit.truncated"],
  ["an empty log", () => verify([], [head]), "audit.truncated"],
  ["a key of somebody else", () => verify(log, [], newKey().publicKey), "audit.other-key"],
  ["a head that was edited", () => verifyAuditHead({ ...head, sequence: 3 }, publicKey), "audit.head-edited"],
  ["a head of somebody else", () => verifyAuditHead(head, newKey().publicKey), "audit.other-key"],
  ["no JSON", () => parseAuditLine(Buffer.from("nonsense")), "audit.malformed"],
  ["another document", () => parseAuditLine(Buffer.from("{}")), "audit.schema"],
  ["an unknown version", () => parseAuditLine(edited(one, { version: 2 } as never)), "audit.version"],
  ["an unknown member", () => parseAuditLine(edited(one, { more: 1 } as never)), "audit.malformed"],
])("%s is refused", (_, work, code) => {
  expect(codeOf(work)).toBe(code);
});

test("AuditVerifier refuses a forked log: the same beginning, another entry in the place of a known one", async () => {
  const other = await makeAuditLine(two, facts("example/fork"), TIME, key);
  const behind = await makeAuditLine(other, facts("example/fork"), TIME, key);
  expect(codeOf(() => verify([one, two, other, four]))).toBe("audit.forked");
  expect(codeOf(() => verify([one, two, other, behind], [{ sequence: 2, line: hashLine(three) }]))).toBe(
    "audit.forked",
  );
  expect(verify([one, two, other, behind])).toMatchObject({ sequence: 3 });
});

test("makeAuditLine() signs with RSA too", async () => {
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const spki = parsePublicKey(rsa.publicKey.export({ format: "der", type: "spki" }));
  const logKey: LogKey = {
    fingerprint: fingerprintOf(spki),
    algorithm: "rsa-sha256",
    sign: async (message) => sign("sha256", message, rsa.privateKey),
  };
  expect(verify(await newLog(2, logKey), [], spki)).toMatchObject({ sequence: 1 });
});

test("parseAuditLine() answers any mutation of a line with an entry or a refusal, and no mutation verifies", () => {
  fc.assert(
    fc.property(fc.nat(one.length - 1), fc.nat(255), (at, value) => {
      const line = Uint8Array.from(one);
      if (line[at] === value) return;
      line[at] = value;
      try {
        verify([line]);
      } catch (error) {
        expect(error).toBeInstanceOf(SealwrightError);
        return;
      }
      throw new Error(`byte ${at} as ${value} verifies`);
    }),
    { numRuns: 300 },
  );
});
