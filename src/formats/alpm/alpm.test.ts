import fc from "fast-check";
import { expect, test } from "vitest";
import { parseAlpmSection } from "./index.ts";

const DESC = "%NAME%\nlib32-glibc\n\n%VERSION%\n2.41-1\n\n%BASE%\nglibc\n\n";
const FILES = "%FILES%\nusr/\nusr/lib/\nusr/lib/libc.so.6\n\n%BACKUP%\netc/locale.gen\t0123\n";

test.each([
  [DESC, "BASE", ["glibc"]],
  [DESC, "NAME", ["lib32-glibc"]],
  [DESC, "FILES", []],
  [FILES, "FILES", ["usr/", "usr/lib/", "usr/lib/libc.so.6"]],
  [FILES, "BACKUP", ["etc/locale.gen\t0123", ""].slice(0, 1)],
  ["%FILES%", "FILES", []],
])("parseAlpmSection(%j, %s)", (text, section, lines) => {
  expect(parseAlpmSection(Buffer.from(text), section)).toEqual(lines);
});

test("parseAlpmSection() takes any bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      expect(Array.isArray(parseAlpmSection(bytes, "FILES"))).toBe(true);
    }),
  );
});
