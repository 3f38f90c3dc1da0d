import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { codeOf } from "../../../test/code-of.ts";
import { vector } from "../../../test/fixtures.ts";
import { byteString } from "../../lib/bytes/byte-string.ts";
import { FormatError } from "../../lib/errors.ts";
import { DUMPFILE_LIMITS_OF_C, type DumpEntry, encodeDumpLine, parseDumpfile } from "./index.ts";

const parse = (text: string, options: Parameters<typeof parseDumpfile>[1] = {}): DumpEntry[] => [
  ...parseDumpfile(Buffer.from(text), options).entries,
];

const digest = "5a".repeat(32);
const object = `5a/${"5a".repeat(31)}`;

test.each([
  ["a directory", "/ 0 40755 2 0 0 0 100.0 - - -"],
  ["nanoseconds as a plain integer", "/a 0 10644 1 0 0 0 1.5 - - -"],
  ["escapes", "/\\x20\\\\\\n\\r\\t=\\x7f\\xff 2 100644 1 0 0 0 0.0 - -- - user.a\\x3d=\\x00\\x3d user.b="],
  ["a lone dash", "/- 1 100644 1 0 0 0 0.0 - \\x2d -"],
  ["an external file", `/a 9007199254740992 100644 1 0 0 0 0.0 ${object} - ${digest}`],
  ["an object without digest", `/a 9 100644 1 0 0 0 0.0 ${object} - -`],
  ["a sparse file", "/a 18446744073709551615 100644 1 0 0 0 0.0 - - -"],
  ["a symbolic link", "/a 3 120777 1 0 0 0 17179869184.999999999 ../ - -"],
  ["devices", "/a 0 60600 1 4294967295 65536 4294967295 0.0 - - -"],
  ["a hard link", "/b 0 @120000 - - - - 0.0 /a - -"],
])("encodeDumpLine() writes again what parseDumpfile() read: %s", (_, line) => {
  const [entry] = parse(`${line}\n`);
  expect(encodeDumpLine(entry as DumpEntry)).toBe(`${line}\n`);
});

test("parseDumpfile() reads what composefs-rs reads beyond what it writes", () => {
  const text = `\n/A 7 100644 5 0 0 0 0.0 - \\x41B - user.a=2 user.a=1`;
  const [entry] = parse(`${text}\n\n/\\x2E\\x2e\\x2E 0 100644 1 0 0 0 0.0 pre/fix/${object.toUpperCase()} - -`);
  expect(entry).toMatchObject({ path: "/A", nlink: 5, node: { kind: "inline", bytes: Uint8Array.of(0x41, 0x42) } });
  expect(entry?.kind === "node" && [...entry.meta.xattrs]).toEqual([["user.a", "2"]]);
  expect(parse("/ü 0 100644 1 0 0 0 0.0 - - -")[0]?.path).toBe(byteString("/ü"));
});

const node = (fields: Readonly<Record<number, string>>): string =>
  ["/a", "1", "100644", "1", "0", "0", "0", "0.0", "-", "x", "-"].map((value, at) => fields[at] ?? value).join(" ");

test.each([
  ["dumpfile.field.missing", "/a 0 100644 1 0 0 0 0.0 - -"],
  ["dumpfile.path.malformed", node({ 0: "a" })],
  ["dumpfile.path.malformed", node({ 0: "-" })],
  ["dumpfile.path.malformed", node({ 0: "/a//b" })],
  ["dumpfile.path.malformed", node({ 0: "/a/." })],
  ["dumpfile.path.malformed", node({ 0: "/../a" })],
  ["dumpfile.path.malformed", node({ 0: "/a/" })],
  ["dumpfile.path.malformed", node({ 0: "/a\\x00" })],
  ["dumpfile.escape.malformed", node({ 0: "/a\\q" })],
  ["dumpfile.escape.malformed", node({ 0: "/a\\x4" })],
  ["dumpfile.escape.malformed", node({ 0: "/a\\" })],
  ["dumpfile.number.malformed", node({ 1: "-1" })],
  ["dumpfile.number.malformed", node({ 1: "18446744073709551616" })],
  ["dumpfile.number.malformed", node({ 2: "100684" })],
  ["dumpfile.number.malformed", node({ 4: "4294967296" })],
  ["dumpfile.number.malformed", node({ 6: "4294967296", 2: "20644" })],
  ["dumpfile.number.malformed", node({ 3: "" })],
  ["dumpfile.mode.no-type", node({ 2: "644" })],
  ["dumpfile.mode.no-type", node({ 2: "170644" })],
  ["dumpfile.rdev.unexpected", node({ 6: "1" })],
  ["dumpfile.mtime.malformed", node({ 7: "1" })],
  ["dumpfile.mtime.malformed", node({ 7: "1.1000000000" })],
  ["dumpfile.number.malformed", node({ 7: "-5.0" })],
  ["dumpfile.mtime.malformed", node({ 7: "9223372036854775808.0" })],
  ["dumpfile.whiteout.hard-linked", node({ 2: "20644", 3: "2", 9: "-" })],
  ["dumpfile.content.unexpected", node({ 2: "40755" })],
  ["dumpfile.content.unexpected", node({ 2: "10644", 9: "-", 10: digest })],
  ["dumpfile.content.too-long", node({ 9: "x".repeat(513) })],
  ["dumpfile.symlink.target", node({ 2: "120777", 8: "-", 9: "-" })],
  ["dumpfile.symlink.target", node({ 2: "120777", 8: "x".repeat(1025), 9: "-" })],
  ["dumpfile.digest.malformed", node({ 8: object, 9: "-", 10: "5a" })],
  ["dumpfile.digest.malformed", node({ 8: object, 9: "-", 10: digest.replace("a", "g") })],
  ["dumpfile.digest.without-payload", node({ 9: "-", 10: digest })],
  ["dumpfile.payload.no-object", node({ 8: "some/where", 9: "-" })],
  ["dumpfile.hardlink.directory", "/a 0 @40755 - - - - 0.0 /b - -"],
  ["dumpfile.xattr.malformed", `${node({})} user.a`],
  ["dumpfile.xattr.malformed", `${node({})}  user.a=1`],
  ["dumpfile.xattr.name", `${node({})} =1`],
  ["dumpfile.xattr.name", `${node({})} user.${"a".repeat(251)}=`],
  ["dumpfile.xattr.value", `${node({})} user.a=${"a".repeat(65_536)}`],
  ["dumpfile.xattr.names", node({}) + Array.from({ length: 300 }, (_, i) => ` user.${"a".repeat(240)}${i}=`).join("")],
])("parseDumpfile() refuses with %s: %s", (code, line) => {
  expect(codeOf(() => parse(`/ 0 40755 2 0 0 0 0.0 - - -\n${line}\n`))).toBe(code);
  expect(() => parse(`/ 0 40755 2 0 0 0 0.0 - - -\n${line}\n`)).toThrow(/^dumpfile line 2: /);
});

test("parseDumpfile() refuses bytes that are no UTF-8, and digests of two algorithms", () => {
  expect(codeOf(() => parseDumpfile(Buffer.from([0x2f, 0xff])))).toBe("dumpfile.not-utf8");
  const line = node({ 8: object, 9: "-", 10: digest });
  expect(codeOf(() => parse(`${line}\n${line.replaceAll(digest, digest + digest)}`))).toBe("dumpfile.digest.malformed");
  expect(codeOf(() => parse(line, { algorithm: "sha512" }))).toBe("dumpfile.digest.malformed");
});

test("parseDumpfile() has the limits it is given", () => {
  expect(parse(node({ 9: "x".repeat(5000) }), { limits: DUMPFILE_LIMITS_OF_C })).toHaveLength(1);
  expect(codeOf(() => parse(node({ 9: "x".repeat(5001) }), { limits: DUMPFILE_LIMITS_OF_C }))).toBe(
    "dumpfile.content.too-long",
  );
});

test("parseDumpfile() answers mutated dumps with entries or a FormatError", () => {
  const dumps = ["all-types", "xattrs", "names"].map((name) => readFileSync(vector(`composefs/dumps/${name}.dump`)));
  const byte = fc.oneof(fc.nat(255), fc.constantFrom(...Buffer.from(" \n\\x-=@/.0")));
  fc.assert(
    fc.property(fc.constantFrom(...dumps), fc.array(fc.tuple(fc.nat(), byte), { maxLength: 5 }), (dump, changes) => {
      const bytes = Uint8Array.from(dump);
      for (const [at, value] of changes) bytes[at % bytes.length] = value;
      try {
        for (const entry of parseDumpfile(bytes).entries) encodeDumpLine(entry);
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
      }
    }),
    { numRuns: 1000 },
  );
});
