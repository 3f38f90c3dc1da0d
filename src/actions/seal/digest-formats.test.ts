import { expect, test } from "vitest";
import { codeOf } from "../../../test/code-of.ts";
import { findComposefsArguments } from "../../formats/uki/index.ts";
import { parseDigestFormats, spellDigests } from "./digest-formats.ts";

const hexOf = (name: string) => (name.endsWith("sha256") ? "a" : "b").repeat(name.endsWith("sha256") ? 63 : 127);

/** Digests with their format's version as last digit. */
const digestsOf = (list: string) =>
  parseDigestFormats(list).map((format) => ({ format, hex: `${hexOf(format.name)}${format.version}` }));

test.each([
  [undefined, ["v1-sha512"]],
  ["v1,v2", ["v1-sha512", "v2-sha512"]],
  ["v2-sha512, v1-sha256", ["v2-sha512", "v1-sha256"]],
])("parseDigestFormats(%s) gives the formats in order", (list, names) => {
  expect(parseDigestFormats(list).map(({ name }) => name)).toEqual(names);
});

test.each([
  ["v1,v1", "seal.formats.same-spelling"],
  ["v0-sha512,v1-sha512", "seal.formats.same-spelling"],
  ["v3", "composefs.format.unknown"],
  ["", "composefs.format.unknown"],
])("parseDigestFormats(%s) refuses with %s", (list, code) => {
  expect(codeOf(() => parseDigestFormats(list))).toBe(code);
});

test.each([
  ["v1", ["composefs=..1"]],
  ["v2", ["composefs=..2"]],
  ["v1-sha256", ["composefs=..1"]],
  // bootc 1.16.4 and later take the first of the long form, bootc before that the short one, which is of format 2.
  ["v1,v2", ["composefs.digest=v1-sha512-12:..1", "composefs=..2"]],
  ["v2,v1", ["composefs.digest=v2-sha512-12:..2", "composefs.digest=v1-sha512-12:..1", "composefs=..2"]],
  // bootc takes no other hash than SHA-512 from the short form.
  ["v1-sha256,v1", ["composefs.digest=v1-sha256-12:..1", "composefs.digest=v1-sha512-12:..1", "composefs=..1"]],
])("spellDigests() of %s", (list, expected) => {
  const spelled = spellDigests(digestsOf(list), false);
  expect(spelled.replaceAll(/[ab]{63,}/g, "..").split(" ")).toEqual(expected);
  expect(findComposefsArguments(spelled).every(({ optional }) => !optional)).toBe(true);
});

test("spellDigests() marks every digest as optional when fs-verity may be missing", () => {
  const given = findComposefsArguments(spellDigests(digestsOf("v1,v2"), true));
  expect(given.map(({ form, optional }) => [form, optional])).toEqual([
    ["composefs.digest", true],
    ["composefs", true],
  ]);
});
