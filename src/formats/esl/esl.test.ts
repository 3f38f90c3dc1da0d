import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { codeOf } from "../../../test/code-of.ts";
import { vector } from "../../../test/fixtures.ts";
import { fromHex } from "../../../test/hex.ts";
import { parseGuid, showGuid } from "../../lib/bytes/guid.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import {
  certificateList,
  encodeSignatureLists,
  imageHashList,
  parseSignatureLists,
  SIGNATURE_TYPES,
  toSignatureDatabase,
} from "./index.ts";

const owner = parseGuid("11111111-2222-3333-4444-123456789abc");
const vectorBytes = (path: string): Buffer => readFileSync(vector(`secureboot/${path}`));
const addonHash = fromHex("dc541926920ff58c2461823135ca3e71fbe028f084cc5052c50d50313fadef69");

test.each(["PK", "KEK", "db", "db2"])("certificateList() writes %s.esl as cert-to-efi-sig-list does", (name) => {
  const list = certificateList(owner, vectorBytes(`keys/test-${name}.cer`));
  expect(toHex(encodeSignatureLists([list]))).toBe(vectorBytes(`auth/${name}.esl`).toString("hex"));
});

test("imageHashList() writes dbx.esl as hash-to-efi-sig-list does", () => {
  const theirs = vectorBytes("auth/dbx.esl");
  const shim = parseGuid("605dab50-e046-4300-abb6-3dd810dd8b23");
  expect(toHex(encodeSignatureLists([imageHashList(shim, [addonHash])]))).toBe(theirs.toString("hex"));
});

test("parseSignatureLists() gives owner, type and data of every list of a variable", () => {
  const bytes = Buffer.concat(["db", "dbx", "db2"].map((name) => vectorBytes(`auth/${name}.esl`)));
  const lists = parseSignatureLists(bytes);
  expect(lists.map(({ typeName }) => typeName)).toEqual(["x509", "sha256", "x509"]);
  expect(showGuid(lists[0]?.signatures[0]?.owner ?? new Uint8Array())).toBe(showGuid(owner));
  expect(toHex(encodeSignatureLists(lists))).toBe(bytes.toString("hex"));
  const database = toSignatureDatabase(lists);
  expect(database.certificates.map(({ subject }) => subject)).toEqual(["CN=test db", "CN=test db2"]);
  expect(database.imageHashes).toEqual([{ algorithm: "sha256", hash: addonHash }]);
});

test("toSignatureDatabase() takes the hash in front of a time of revocation", () => {
  const data = Buffer.concat([addonHash, Buffer.alloc(16)]);
  const type = SIGNATURE_TYPES["x509-sha256"].guid;
  const lists = parseSignatureLists(
    encodeSignatureLists([{ type, typeName: undefined, signatures: [{ owner, data }] }]),
  );
  expect(toSignatureDatabase(lists).certificateHashes).toEqual([{ algorithm: "sha256", hash: addonHash }]);
});

test("sig-list-to-certs reads a variable of ours", () => {
  const directory = mkdtempSync(join(tmpdir(), "sealwright-esl-"));
  try {
    const lists = ["db", "db2"].map((name) => certificateList(owner, vectorBytes(`keys/test-${name}.cer`)));
    writeFileSync(
      join(directory, "db.esl"),
      encodeSignatureLists([...lists, imageHashList(owner, [addonHash, addonHash])]),
    );
    execFileSync("sig-list-to-certs", ["db.esl", "out"], { cwd: directory });
    expect(readFileSync(join(directory, "out-0.der"))).toEqual(vectorBytes("keys/test-db.cer"));
    expect(readFileSync(join(directory, "out-1.der"))).toEqual(vectorBytes("keys/test-db2.cer"));
    expect(readFileSync(join(directory, "out-2.hash"))).toEqual(addonHash);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

const sha256 = (size: number, header: number, signature: number, extra: number): Uint8Array => {
  const bytes = Buffer.alloc(28 + extra);
  bytes.set(SIGNATURE_TYPES.sha256.guid);
  for (const [i, value] of [size, header, signature].entries()) bytes.writeUInt32LE(value, 16 + i * 4);
  return bytes;
};

describe("parseSignatureLists() refuses", () => {
  const unknownType = sha256(28, 0, 16, 0).fill(0xee, 0, 16);

  test.each<[string, string, Uint8Array]>([
    ["a cut header", "esl.truncated", sha256(76, 0, 48, 48).subarray(0, 27)],
    ["a header", "esl.header-size", sha256(76, 4, 48, 48)],
    ["a SHA-256 of another size", "esl.signature-size", sha256(77, 0, 49, 49)],
    ["signatures without data", "esl.signature-size", unknownType],
    ["a list size below its header", "esl.list-size", sha256(27, 0, 48, 48)],
    ["half a signature", "esl.list-size", sha256(77, 0, 48, 49)],
    ["a list that ends behind the file", "esl.list-size", sha256(76, 0, 48, 47)],
    ["more than 4 MiB", "esl.too-large", new Uint8Array((4 << 20) + 1)],
  ])("%s", (_, code, bytes) => {
    expect(codeOf(() => parseSignatureLists(bytes))).toBe(code);
  });

  test("nothing with anything but a FormatError, and what it takes encodes to the same bytes", () => {
    const good = Buffer.concat(["db", "dbx"].map((name) => vectorBytes(`auth/${name}.esl`)));
    const interesting = [...Array(48).keys(), ...Array.from({ length: 60 }, (_, i) => 815 + i)];
    const change = fc.record({ at: fc.constantFrom(...interesting), value: fc.nat(255) });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 2 }), fc.nat(good.length), (changes, cut) => {
        const bytes = Uint8Array.from(cut % 3 === 0 ? good.subarray(0, cut) : good);
        for (const { at, value } of changes) if (at < bytes.length) bytes[at] = value;
        const code = codeOf(() => {
          const lists = parseSignatureLists(bytes);
          if (lists.every(({ signatures }) => signatures.length > 0)) {
            expect(toHex(encodeSignatureLists(lists))).toBe(toHex(bytes));
          }
        });
        expect(code).toMatch(/^(accepted|esl\..*)$/);
      }),
      { numRuns: 1000 },
    );
  });
});
