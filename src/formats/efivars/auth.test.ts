import { execFileSync } from "node:child_process";
import { createPrivateKey, sign } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { codeOf } from "../../../test/code-of.ts";
import { vector } from "../../../test/fixtures.ts";
import { fromHex } from "../../../test/hex.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { FormatError } from "../../lib/errors.ts";
import { parseCertificate } from "../x509/index.ts";
import {
  encodeAuthenticatedVariable,
  encodeEfiTime,
  encodeSignedPart,
  KEY_DATABASES,
  parseAuthenticatedVariable,
  parseEfiTime,
  signVariable,
  verifyVariable,
} from "./index.ts";

const bytesOf = (path: string): Buffer => readFileSync(vector(`secureboot/${path}`));
const certificate = (name: string) => parseCertificate(bytesOf(`keys/test-${name}.crt`), name);
const signWith = (name: string) => async (message: Uint8Array) =>
  sign("sha256", message, createPrivateKey(bytesOf(`keys/test-${name}.key`)));
const time = new Date("2024-01-01T00:00:00Z");

/** File, variable, payload, whose key, append: how efitools made them. */
const files = [
  ["PK", "PK", "PK", "PK", false],
  ["KEK", "KEK", "KEK", "PK", false],
  ["db", "db", "db", "KEK", false],
  ["dbx", "dbx", "dbx", "KEK", false],
  ["db2-append", "db", "db2", "KEK", true],
  ["dbx-append", "dbx", "dbx", "KEK", true],
  ["PK-delete", "PK", undefined, "PK", false],
] as const;

describe.each(files)("%s.auth", (file, variable, payloadFile, signer, append) => {
  const payload = payloadFile === undefined ? new Uint8Array() : bytesOf(`auth/${payloadFile}.esl`);
  const theirs = bytesOf(`auth/${file}.auth`);

  test("signVariable() writes what sign-efi-sig-list writes, byte for byte", async () => {
    const update = { ...KEY_DATABASES[variable], append, time, payload };
    expect(toHex(await signVariable(update, certificate(signer), signWith(signer)))).toBe(theirs.toString("hex"));
  });

  test("verifyVariable() accepts it for this variable, these attributes and this signer alone", () => {
    const target = { ...KEY_DATABASES[variable], append };
    const evidence = verifyVariable(theirs, target, [certificate(signer)]);
    expect(evidence.signer.subject).toBe(`CN=test ${signer}`);
    expect(evidence.time).toEqual(time);
    expect(toHex(evidence.payload)).toBe(toHex(payload));
    const trusted = [certificate(signer)];
    expect(codeOf(() => verifyVariable(theirs, { ...target, append: !append }, trusted))).toBe("cms.signature.invalid");
    expect(codeOf(() => verifyVariable(theirs, { ...target, name: "dbt" }, trusted))).toBe("cms.signature.invalid");
    expect(codeOf(() => verifyVariable(theirs, target, [certificate("rogue")]))).toBe("efivars.signature.untrusted");
  });
});

test("encodeSignedPart() is what sign-efi-sig-list -o prints", () => {
  const part = encodeSignedPart({ ...KEY_DATABASES.db, time, payload: bytesOf("auth/db.esl") });
  expect(toHex(part)).toBe(bytesOf("auth/db.tbs").toString("hex"));
});

test("sign-efi-sig-list signs the same bytes today", async () => {
  const directory = mkdtempSync(join(tmpdir(), "sealwright-auth-"));
  try {
    const keys = ["-k", vector("secureboot/keys/test-KEK.key"), "-c", vector("secureboot/keys/test-KEK.crt")];
    const output = join(directory, "db.auth");
    // The tool reads the time as local time.
    execFileSync(
      "sign-efi-sig-list",
      ["-t", "2031-12-31 23:59:58", ...keys, "db", vector("secureboot/auth/db2.esl"), output],
      { env: { ...process.env, TZ: "UTC" } },
    );
    const update = {
      ...KEY_DATABASES.db,
      time: new Date("2031-12-31T23:59:58Z"),
      payload: bytesOf("auth/db2.esl"),
    };
    const ours = await signVariable(update, certificate("KEK"), signWith("KEK"));
    expect(toHex(ours)).toBe(readFileSync(output).toString("hex"));
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("an unsigned form has the header of virt-fw-vars --output-auth, and verifies as absent", () => {
  const payload = bytesOf("auth/PK.esl");
  const bytes = encodeAuthenticatedVariable({ time, signature: new Uint8Array(), payload });
  expect(toHex(bytes.subarray(0, 40))).toBe(
    toHex(fromHex("e8070101000000000000000000000000 18000000 0002 f10e 9dd2af4adf68ee498aa9347d375665a7")),
  );
  expect(parseAuthenticatedVariable(bytes)).toMatchObject({ time, signature: Buffer.alloc(0) });
  expect(codeOf(() => verifyVariable(bytes, KEY_DATABASES.PK, [certificate("PK")]))).toBe("efivars.signature.absent");
});

describe("EFI_TIME", () => {
  test.each(["1900-01-01T00:00:00.000Z", "2024-02-29T23:59:59.000Z", "9999-12-31T00:00:00.000Z"])(
    "%s and back",
    (text) => {
      expect(parseEfiTime(encodeEfiTime(new Date(text))).toISOString()).toBe(text);
    },
  );

  test("the month that sbvarsign 0.9.5 writes for January is refused with a hint", () => {
    for (const file of ["default", "attr27"]) {
      const parse = (): unknown => parseAuthenticatedVariable(bytesOf(`auth/db.sbvarsign-${file}.auth`));
      expect(parse).toThrow(
        expect.objectContaining({ code: "efivars.time.malformed", hint: expect.stringContaining("sbvarsign") }),
      );
    }
  });

  test.each([
    ["30 February", "efivars.time.malformed", 3, 30],
    ["hour 24", "efivars.time.malformed", 4, 24],
    ["second 60", "efivars.time.malformed", 6, 60],
    ["nanoseconds", "efivars.time.not-plain", 8, 1],
    ["daylight saving", "efivars.time.not-plain", 14, 1],
  ])("%s is refused", (_, code, at, value) => {
    const bytes = encodeEfiTime(new Date("2024-02-01T00:00:00Z"));
    bytes[at] = value;
    expect(codeOf(() => parseEfiTime(bytes))).toBe(code);
  });
});

describe("parseAuthenticatedVariable() refuses", () => {
  test.each<[string, string, (bytes: Buffer) => unknown]>([
    ["a revision", "efivars.auth.revision", (bytes) => bytes.writeUInt16LE(0x0100, 20)],
    ["a type", "efivars.auth.type", (bytes) => bytes.writeUInt16LE(2, 22)],
    ["a certificate GUID", "efivars.auth.guid", (bytes) => bytes.writeUInt8(0, 24)],
    ["a length below its header", "efivars.auth.length", (bytes) => bytes.writeUInt32LE(23, 16)],
    ["a length behind the end", "efivars.auth.length", (bytes) => bytes.writeUInt32LE(bytes.length - 15, 16)],
  ])("%s", (_, code, change) => {
    const bytes = Buffer.from(bytesOf("auth/db.auth"));
    change(bytes);
    expect(codeOf(() => parseAuthenticatedVariable(bytes))).toBe(code);
  });

  test("a cut header", () => {
    expect(codeOf(() => parseAuthenticatedVariable(bytesOf("auth/db.auth").subarray(0, 39)))).toBe("efivars.truncated");
  });
});

test("verifyVariable() refuses every change to a byte, with nothing but errors of ours", () => {
  const good = bytesOf("auth/db.auth");
  const trusted = [certificate("KEK")];
  const accepted = [...good.keys()].filter((at) => {
    const bytes = Uint8Array.from(good);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
    return codeOf(() => verifyVariable(bytes, KEY_DATABASES.db, trusted)) === "accepted";
  });
  expect(accepted).toEqual([]);
});

test("FormatError is what a hostile file gives", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      try {
        parseAuthenticatedVariable(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
      }
    }),
  );
});
