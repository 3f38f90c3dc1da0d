import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deflateSync } from "node:zlib";
import * as fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { codeOf } from "../../../test/code-of.ts";
import { vector } from "../../../test/fixtures.ts";
import { readWithUefivars } from "../../../test/tools/uefivars.ts";
import { crc32cOf } from "../../lib/bytes/crc32c.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { SealwrightError } from "../../lib/errors.ts";
import { parseVariableStore } from "../varstore/index.ts";
import { type AwsVariable, encodeAwsVariables, parseAwsVariables } from "./index.ts";

const directory = mkdtempSync(join(tmpdir(), "sealwright-awsuefi-"));
afterAll(() => rmSync(directory, { recursive: true }));
const path = (name: string): string => join(directory, name);

const store = execFileSync("xz", ["-dc", vector("secureboot/vars/OVMF_VARS.4m.enrolled.fd.xz")], {
  maxBuffer: 1 << 27,
});
const variables: AwsVariable[] = parseVariableStore(store).variables.map(
  ({ attributes, data, name, time, vendor }) => ({
    name,
    vendor,
    attributes,
    data,
    ...((attributes & 0x20) === 0 ? {} : { time }),
  }),
);

/** A file with its checksum put right. */
function file(version: number, body: Uint8Array): Buffer {
  const head = Buffer.alloc(16);
  head.write("AMZNUEFI", "latin1");
  head.writeUInt32LE(version, 12);
  const bytes = Buffer.concat([head, body]);
  bytes.writeUInt32LE(crc32cOf(bytes.subarray(12)), 8);
  return bytes;
}

test("encodeAwsVariables() writes what python-uefivars reads", async () => {
  writeFileSync(path("ours"), Buffer.from(encodeAwsVariables(variables)).toString("base64"));
  const theirs = await readWithUefivars(path("ours"), path("theirs"));
  expect(theirs).toEqual(
    variables.map(({ attributes, data, name, time, vendor }) => ({
      name,
      vendor: toHex(vendor),
      attributes,
      data: toHex(data),
      time: time === undefined ? "" : toHex(time),
    })),
  );
  // What that tool writes itself names a dictionary that only it has.
  const rewritten = Buffer.from(readFileSync(path("theirs"), "latin1"), "base64");
  expect(codeOf(() => parseAwsVariables(rewritten))).toBe("awsuefi.dictionary");
});

test("parseAwsVariables() gives back what was written, with a dictionary as well", () => {
  const expected = variables.map((one) => ((one.attributes & 0x20) === 0 ? one : { ...one, digest: Buffer.alloc(32) }));
  const plain = (list: readonly AwsVariable[]) =>
    list.map(({ data, digest, name, time, vendor, attributes }) => [
      name,
      attributes,
      ...[data, digest, time, vendor].map((bytes) => bytes && toHex(bytes)),
    ]);
  expect(plain(parseAwsVariables(encodeAwsVariables(variables)))).toEqual(plain(expected));
  const dictionary = Buffer.from("secure boot");
  const body = deflateSync(Buffer.alloc(8), { dictionary });
  expect(parseAwsVariables(file(0, body), dictionary)).toEqual([]);
});

describe("parseAwsVariables() refuses", () => {
  const count = (value: bigint, rest: Uint8Array = Buffer.alloc(0)): Buffer => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(value);
    return Buffer.concat([bytes, rest]);
  };
  const good = Buffer.from(encodeAwsVariables(variables));
  test.each<[string, string, Uint8Array]>([
    ["a cut header", "awsuefi.truncated", good.subarray(0, 15)],
    ["another magic", "awsuefi.magic", Buffer.concat([Buffer.from("AMZNUEFY"), good.subarray(8)])],
    ["a changed byte", "awsuefi.checksum", Buffer.concat([good.subarray(0, 40), Buffer.from("x"), good.subarray(41)])],
    ["a version of tomorrow", "awsuefi.version", file(1, deflateSync(count(0n)))],
    ["no zlib stream", "awsuefi.zlib", file(0, Buffer.from("\0\0 no zlib"))],
    ["a bomb", "awsuefi.zlib", file(0, deflateSync(Buffer.alloc(32 << 20)))],
    ["a count beyond reason", "awsuefi.count", file(0, deflateSync(count(1n << 60n)))],
    ["fewer variables than it says", "awsuefi.truncated", file(0, deflateSync(count(1n)))],
    ["bytes behind the last one", "awsuefi.trailing", file(0, deflateSync(count(0n, Buffer.from("x"))))],
    ["a name in no alphabet", "awsuefi.name", file(0, deflateSync(count(1n, count(1n, Buffer.from([0xff])))))],
    [
      "a digest of one byte",
      "awsuefi.digest",
      file(
        0,
        deflateSync(
          count(
            1n,
            Buffer.concat([
              count(0n),
              count(0n),
              Buffer.alloc(16),
              Buffer.from([0x27, 0, 0, 0]),
              Buffer.alloc(16),
              count(1n),
              Buffer.alloc(1),
            ]),
          ),
        ),
      ),
    ],
  ])("%s", (_, code, bytes) => {
    expect(codeOf(() => parseAwsVariables(bytes))).toBe(code);
  });
});

test("parseAwsVariables() answers any stream with variables or a refusal", () => {
  const plain = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 200 }).map((bytes) => Uint8Array.from(bytes)),
  );
  fc.assert(
    fc.property(plain, (bytes) => {
      try {
        parseAwsVariables(file(0, deflateSync(bytes)));
      } catch (error) {
        expect(error).toBeInstanceOf(SealwrightError);
      }
    }),
  );
});
