import * as fc from "fast-check";
import { expect, test } from "vitest";
import { FormatError } from "../../lib/errors.ts";
import { canonicalJson, MAX_JSON_DEPTH, parseJson } from "./json.ts";

const limits = { what: "test", code: "oci.test.malformed", maxSize: 4096 };
const parse = (text: string) => parseJson(Buffer.from(text, "utf8"), limits);

test.each([
  ["nothing", ""],
  ["no JSON", "{"],
  ["two documents", "{}{}"],
  ["a byte order mark", "\ufeff{}"],
  ["a comment", "{} // end"],
  ["a repeated name", '{"a":1,"b":{"a":2},"a":3}'],
  ["a repeated name in an inner object", '[{"a":[{"x":1,"x":2}]}]'],
  ["a name repeated through an escape", String.raw`{"config":1,"\u0063onfig":2}`],
  ["a repeated name with white space before the colon", '{"a" :1,"a"\n:2}'],
  ["too many levels", "[".repeat(MAX_JSON_DEPTH + 1) + "]".repeat(MAX_JSON_DEPTH + 1)],
  ["too many bytes", `"${"x".repeat(4096)}"`],
])("parseJson() refuses %s", (_, text) => {
  expect(() => parse(text)).toThrow(expect.objectContaining({ code: "oci.test.malformed" }));
});

test("parseJson() refuses bytes that are not UTF-8", () => {
  expect(() => parseJson(Buffer.from([0x22, 0xff, 0x22]), limits)).toThrow(
    expect.objectContaining({ code: "oci.test.malformed" }),
  );
});

test("parseJson() names the byte of a repeated name", () => {
  expect(() => parse('{"é":1,"é":2}')).toThrow(/at byte 8: found "é" again/);
});

test.each([
  ['{"a":"{\\"a\\":1}","b":["a","a"]}'],
  ['{"a":{"x":1},"b":{"x":1}}'],
  ["[".repeat(MAX_JSON_DEPTH) + "]".repeat(MAX_JSON_DEPTH)],
  ['{"__proto__":1,"constructor":2}'],
])("parseJson() takes %s", (text) => {
  expect(parse(text)).toEqual(JSON.parse(text));
});

test("parseJson() reads 16 MiB of escapes in one string", () => {
  const text = `{"a":"${String.raw`\n`.repeat(8 << 20)}"}`;
  expect(parseJson(Buffer.from(text), { ...limits, maxSize: 32 << 20 })).toHaveProperty("a");
});

test.each([
  [{ b: 1, a: [{ d: undefined, c: null }] }, '{"a":[{"c":null}],"b":1}'],
  [{ "10": 1, "9": 2, B: 3, a: 4, é: 5 }, '{"10":1,"9":2,"B":3,"a":4,"é":5}'],
  [JSON.parse('{"__proto__":{"x":1},"a":2}'), '{"__proto__":{"x":1},"a":2}'],
  // Number forms of RFC 8785, section 3.2.2.3.
  [[1e21, 0.002, 1e-27, -0], "[1e+21,0.002,1e-27,0]"],
])("canonicalJson() writes %j canonically", (value, expected) => {
  expect(Buffer.from(canonicalJson(value)).toString()).toBe(expected);
});

test("canonicalJson() does not depend on the order of members and is read back equal", () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 })), (value) => {
      const encoded = canonicalJson(value);
      const reversed = Object.fromEntries(Object.entries(value).reverse());
      expect(canonicalJson(reversed)).toEqual(encoded);
      const again = parseJson(encoded, { ...limits, maxSize: 1 << 20 });
      expect(canonicalJson(again)).toEqual(encoded);
    }),
  );
});

test("parseJson() answers any bytes with a value or a FormatError", () => {
  const seed = Buffer.from('{"a":[1,"\\u0041",{"b":null}],"c":{"d":-1.5e3}}');
  fc.assert(
    fc.property(fc.nat(seed.length - 1), fc.nat(255), (at, byte) => {
      const bytes = Buffer.from(seed);
      bytes[at] = byte;
      try {
        parseJson(bytes, limits);
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
      }
    }),
  );
});
