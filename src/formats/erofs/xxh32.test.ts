import { expect, test } from "vitest";
import { xxh32 } from "./xxh32.ts";

// The sanity check of the xxHash library, and values of other implementations.
test.each([
  ["", 0, 0x02cc5d05],
  ["", 0x9e3779b1, 0x36b78ae7],
  ["a", 0, 0x550d7456],
  ["abc", 0, 0x32d153ff],
  ["Nobody inspects the spammish repetition", 0, 0xe2293b2f],
])("xxh32(%j) with seed %i", (text, seed, expected) => {
  expect(xxh32(Buffer.from(text), seed)).toBe(expected);
});
