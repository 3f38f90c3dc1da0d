import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { codeOf } from "../../../test/code-of.ts";
import {
  appendParameters,
  findComposefsArguments,
  normalizeCommandLine,
  parseCommandLine,
  parseKargsToml,
  requirePlainCommandLine,
} from "./index.ts";

const H64 = "0123456789abcdef".repeat(4);
const H128 = H64 + H64;

test.each<[string, string[]]>([
  ["", []],
  ["  \n", []],
  ["a b\tc\nd\fe\rf", ["a", "b", "c", "d", "e", "f"]],
  ['a="b c" d', ['a="b c"', "d"]],
  ['"a b=c d" e', ['"a b=c d"', "e"]],
  ['a="b c', ['a="b c']],
  ['a"b c"d"e f"g h', ['a"b c"d"e f"g', "h"]],
  ["a\vb a\u00a0b", ["a\vb", "a\u00a0b"]],
])("parseCommandLine(%j) splits at white space outside quotes", (text, tokens) => {
  expect(parseCommandLine(text).map((parameter) => parameter.text)).toEqual(tokens);
});

test("parseCommandLine() splits a parameter at its first equals sign", () => {
  expect(parseCommandLine("root=UUID=1 quiet empty=")).toEqual([
    { text: "root=UUID=1", key: "root", value: "UUID=1" },
    { text: "quiet", key: "quiet", value: undefined },
    { text: "empty=", key: "empty", value: "" },
  ]);
});

test("parseCommandLine() answers long and odd texts quickly", () => {
  expect(parseCommandLine('"'.repeat(100_001))).toHaveLength(1);
  expect(parseCommandLine("a ".repeat(100_000))).toHaveLength(100_000);
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      codeOf(() => findComposefsArguments(text));
      codeOf(() => requirePlainCommandLine(text));
      expect(appendParameters(text, text).length).toBeLessThanOrEqual(text.length * 2 + 1);
    }),
  );
});

test.each([
  ["", "a b", "a b"],
  ["rw quiet", "quiet rw composefs=1", "rw quiet composefs=1"],
  ["a=1", "a=2 a=1", "a=1 a=2"],
  ["a-b=1", "a_b=1", "a-b=1"],
  ["a=", "a", "a= a"],
  ["x\n", "y", "x y"],
  ["", "a a", "a"],
])("appendParameters(%j, %j) gives %j", (text, parameters, expected) => {
  expect(appendParameters(text, parameters)).toBe(expected);
});

test("normalizeCommandLine() joins words with single spaces", () => {
  expect(normalizeCommandLine("  root=/dev/sda1 \n\t quiet ")).toBe("root=/dev/sda1 quiet");
});

test.each([
  ["accepted", "a=b quiet\n"],
  ["accepted", "a=b\n\0\0"],
  ["uki.cmdline.character", "a\nb"],
  ["uki.cmdline.character", "a\vb"],
  ["uki.cmdline.character", "a\tb"],
  ["uki.cmdline.character", "a\u00e0b"],
])("requirePlainCommandLine() answers %s for %j", (code, text) => {
  expect(codeOf(() => requirePlainCommandLine(text))).toBe(code);
});

describe("findComposefsArguments()", () => {
  const short = { form: "composefs", optional: false, version: undefined } as const;
  const long = { form: "composefs.digest", optional: false } as const;

  test.each([
    ["root=x composefs.other=1 xcomposefs=2", []],
    [`composefs=${H64}`, [{ ...short, algorithm: "sha256", digestHex: H64 }]],
    [`rw composefs=${H128} quiet`, [{ ...short, algorithm: "sha512", digestHex: H128 }]],
    [`composefs=?${H128}`, [{ ...short, optional: true, algorithm: "sha512", digestHex: H128 }]],
    [`composefs.digest=v1-sha512-12:${H128}`, [{ ...long, version: 1, algorithm: "sha512", digestHex: H128 }]],
    [
      `composefs.digest=?v2-sha256-12:${H64} composefs=${H64}`,
      [
        { ...long, optional: true, version: 2, algorithm: "sha256", digestHex: H64 },
        { ...short, algorithm: "sha256", digestHex: H64 },
      ],
    ],
  ])("finds in %j", (text, expected) => {
    expect(findComposefsArguments(text)).toEqual(expected);
  });

  test.each([
    ["uki.cmdline.composefs-digest", "composefs"],
    ["uki.cmdline.composefs-digest", "composefs="],
    ["uki.cmdline.composefs-digest", `composefs=${H64}0`],
    ["uki.cmdline.composefs-digest", `composefs=${H64.toUpperCase()}`],
    ["uki.cmdline.composefs-digest", `composefs="${H64}"`],
    ["uki.cmdline.composefs-digest", `composefs=??${H64}`],
    ["uki.cmdline.composefs-digest", `composefs.digest=v1-sha512-12:${H64}`],
    ["uki.cmdline.composefs-digest", "composefs.digest=v1-sha512-12:"],
    ["uki.cmdline.composefs-descriptor", "composefs.digest"],
    ["uki.cmdline.composefs-descriptor", `composefs.digest=${H128}`],
    ["uki.cmdline.composefs-descriptor", `composefs.digest=v3-sha512-12:${H128}`],
    ["uki.cmdline.composefs-descriptor", `composefs.digest=v1-sha1-12:${H128}`],
    ["uki.cmdline.composefs-descriptor", `composefs.digest=v1-sha512-16:${H128}`],
  ])("refuses with %s: %j", (code, text) => {
    expect(codeOf(() => findComposefsArguments(text))).toBe(code);
  });
});

describe("parseKargsToml()", () => {
  const parse = (text: string, architecture = "x86_64"): string[] => parseKargsToml(Buffer.from(text), architecture);

  test.each([
    ['kargs = ["rw", "console=ttyS0 quiet"]', ["rw", "console=ttyS0", "quiet"]],
    ['kargs = ["a=\\"b c\\" d"]', ['a="b c"', "d"]],
    ["kargs = []", []],
    ['kargs = ["a"]\nmatch-architectures = ["aarch64", "x86_64"]', ["a"]],
    ['kargs = ["a"]\nmatch-architectures = ["amd64"]', []],
    ['kargs = ["a"]\nmatch-architectures = []', []],
  ])("reads %j", (text, expected) => {
    expect(parse(text)).toEqual(expected);
  });

  test.each([
    ["uki.kargs.key", ""],
    ["uki.kargs.key", 'kargs = "a"'],
    ["uki.kargs.key", "kargs = [1]"],
    ["uki.kargs.key", 'kargs = ["a"]\nmatch_architectures = ["x86_64"]'],
    ["uki.kargs.key", 'kargs = ["a"]\nmatch-architectures = "x86_64"'],
    ["uki.kargs.toml", "kargs = ["],
    ["uki.kargs.toml", `kargs = ${"[".repeat(10_000)}`],
    ["uki.kargs.toml", "kargs = []\nkargs = []"],
  ])("refuses with %s: %j", (code, text) => {
    expect(codeOf(() => parse(text))).toBe(code);
  });

  test("refuses bytes that are no UTF-8", () => {
    expect(codeOf(() => parseKargsToml(Buffer.from([0x22, 0xff]), "x86_64"))).toBe("uki.kargs.toml");
  });
});
