import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { codeOf } from "../../../test/code-of.ts";
import { vector } from "../../../test/fixtures.ts";
import { startTimestampAuthority, type TimestampAuthority } from "../../../test/timestamp-authority.ts";
import { SealwrightError } from "../../lib/errors.ts";
import { der } from "../der/index.ts";
import { encodeTimestampRequest, parseTimestampResponse, parseTimestampToken, verifyTimestamp } from "./index.ts";

const stamped = Buffer.from("what is stamped");
const digest = createHash("sha256").update(stamped).digest();
const nonce = 0x1234_5678_9abc_def0n;
const directory = mkdtempSync(join(tmpdir(), "sealwright-rfc3161-"));
let authority: TimestampAuthority;
let response: Buffer;

beforeAll(async () => {
  authority = await startTimestampAuthority(directory);
  response = authority.reply(encodeTimestampRequest({ digest, nonce }));
});
afterAll(async () => {
  await authority[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

test("encodeTimestampRequest() writes what openssl reads", () => {
  const path = join(directory, "request.tsq");
  writeFileSync(path, encodeTimestampRequest({ digest, nonce }));
  const text = execFileSync("openssl", ["ts", "-query", "-in", path, "-text"], { encoding: "utf8" });
  expect(text).toContain("Hash Algorithm: sha256");
  expect(text).toContain("Nonce: 0x123456789ABCDEF0");
  expect(text).toContain("Certificate required: yes");
});

test("a token that openssl made is read and verified, and openssl verifies it as well", () => {
  const token = parseTimestampToken(parseTimestampResponse(response));
  expect(token).toMatchObject({ algorithm: "sha256", policy: "1.2.3.4.1", nonce, serial: 2n });
  const evidence = verifyTimestamp(token, stamped, nonce);
  expect(evidence.authority.subject).toBe("CN=test timestamps");
  const [data, reply] = [join(directory, "data"), join(directory, "reply.tsr")];
  writeFileSync(data, stamped);
  writeFileSync(reply, response);
  const text = execFileSync("openssl", ["ts", "-reply", "-in", reply, "-text"], { encoding: "utf8" });
  const shown = /Time stamp: (.+)/.exec(text)?.[1] ?? "";
  expect(evidence.time.toISOString().slice(0, 19)).toBe(new Date(shown).toISOString().slice(0, 19));
  const flags = ["-in", reply, "-data", data, "-CAfile", authority.certificatePath];
  expect(execFileSync("openssl", ["ts", "-verify", ...flags], { encoding: "utf8" })).toContain("Verification: OK");
});

describe("refused is", () => {
  const token = () => parseTimestampToken(parseTimestampResponse(response));

  test("a token for other bytes, and for another request", () => {
    expect(codeOf(() => verifyTimestamp(token(), Buffer.from("other"), nonce))).toBe("timestamp.other-content");
    expect(codeOf(() => verifyTimestamp(token(), stamped, nonce + 1n))).toBe("timestamp.nonce");
    expect(codeOf(() => verifyTimestamp(token(), stamped))).toBe("accepted");
  });

  test("an authority that refuses, with its reason", () => {
    const md5 = der.sequence(der.oid("1.2.840.113549.2.5"), der.nullValue());
    const query = der.sequence(der.integer(1), der.sequence(md5, der.octetString(digest.subarray(0, 16))));
    expect(() => parseTimestampResponse(authority.reply(query))).toThrow(/badAlg/);
    expect(codeOf(() => parseTimestampResponse(authority.reply(query)))).toBe("timestamp.refused");
  });

  test("a grant without a token", () => {
    const granted = der.sequence(der.sequence(der.integer(0)));
    expect(codeOf(() => parseTimestampResponse(granted))).toBe("timestamp.response");
  });

  test("a signature over something else", () => {
    const signature = readFileSync(vector("secureboot/keys/test-db.cer"));
    expect(codeOf(() => parseTimestampToken(signature))).toMatch(/^(?:der|cms)\./);
  });
});

test("any change of a response is a refusal, or leaves what was stamped as it was", () => {
  fc.assert(
    fc.property(fc.nat(response.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const bytes = Buffer.from(response);
      bytes[at] = (bytes[at] as number) ^ change;
      try {
        const evidence = verifyTimestamp(parseTimestampToken(parseTimestampResponse(bytes)), stamped, nonce);
        expect(evidence.time).toEqual(
          verifyTimestamp(parseTimestampToken(parseTimestampResponse(response)), stamped).time,
        );
      } catch (error) {
        if (!(error instanceof SealwrightError)) throw error;
      }
    }),
    { numRuns: 600 },
  );
});
