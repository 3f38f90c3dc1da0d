import { expect, test } from "vitest";
import { codeOf } from "../../test/code-of.ts";
import { parseSize } from "./size.ts";

test.each([
  ["512", 512],
  ["64M", 64 * 2 ** 20],
  ["20g", 20 * 2 ** 30],
  ["1GiB", 2 ** 30],
  ["2T", 2 ** 41],
])("parseSize(%s) gives bytes", (text, size) => {
  expect(parseSize(text)).toBe(size);
});

test.each(["", "0", "-1", "1.5G", "G", "10X", "9999999999T"])("parseSize(%j) refuses", (text) => {
  expect(codeOf(() => parseSize(text))).toBe("size.malformed");
});
