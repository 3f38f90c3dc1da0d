import { execFileSync } from "node:child_process";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { codeOf } from "../../../test/code-of.ts";
import { FormatError } from "../../lib/errors.ts";
import {
  compareMenuItems,
  compareVersions,
  findDefault,
  parseBootEntry,
  parseEntryName,
  parseLoaderConf,
} from "./index.ts";

const text = (lines: string): Uint8Array => Buffer.from(lines);

test("parseBootEntry() reads the keys that a boot loader acts on", () => {
  const entry = `# made by hand
title Small OS 1 (one)
version\t1
  sort-key   bootc-small-0
machine-id 0123
uki /EFI/Linux/bootc/a.efi
initrd /a
initrd /b
options rw quiet
options  a="b c"
grub_users x
efi
`;
  expect(parseBootEntry(text(entry.replaceAll("\n", "\r\n")), "Bootc_small-1-1.conf")).toEqual({
    id: "bootc_small-1-1.conf",
    title: "Small OS 1 (one)",
    version: "1",
    sortKey: "bootc-small-0",
    machineId: "0123",
    uki: "/EFI/Linux/bootc/a.efi",
    initrds: ["/a", "/b"],
    options: 'rw quiet a="b c"',
  });
});

test.each<[string, Uint8Array, string]>([
  ["a.txt", text(""), "bls.entry.name"],
  [".conf", text(""), "bls.entry.name"],
  ["a.conf", new Uint8Array(65_537), "bls.entry.size"],
  ["a.conf", new Uint8Array([0x74, 0x20, 0xff]), "bls.entry.encoding"],
])("parseBootEntry() refuses %s (%#) with its own code", (name, bytes, code) => {
  expect(codeOf(() => parseBootEntry(bytes, name))).toBe(code);
});

test("parseBootEntry() answers any bytes with an entry or a FormatError", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.string(), (bytes, name) => {
      try {
        parseBootEntry(bytes, `${name}.conf`);
        parseLoaderConf(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
      }
    }),
  );
});

test.each([
  ["a+3-1.conf", { id: "a.conf", triesLeft: 3, triesDone: 1 }],
  ["a+0.conf", { id: "a.conf", triesLeft: 0, triesDone: 0 }],
  ["a+b.conf", { id: "a+b.conf" }],
  ["A-1.conf", { id: "a-1.conf" }],
])("parseEntryName(%s) takes the counter off", (name, expected) => {
  expect(parseEntryName(name, ".conf")).toEqual(expected);
});

/** Ascending; the examples of UAPI.10. */
const VERSIONS = [
  "~1",
  "",
  "ab",
  "abb",
  "abc",
  "0001",
  "002",
  "12",
  "122",
  "122.9",
  "123~rc1-1",
  "123",
  "123-a",
  "123-a.1",
  "123-a1",
  "123-1",
  "123-1.1",
  "123-3",
  "123^patch1",
  "123^1",
  "123.a-1",
  "123.1-1",
  "123a-1",
  "124-1",
];

test("compareVersions() keeps the order of the specification", () => {
  for (const [i, a] of VERSIONS.entries()) {
    for (const [j, b] of VERSIONS.entries()) {
      expect(Math.sign(compareVersions(a, b)), `${a} against ${b}`).toBe(Math.sign(i - j));
    }
  }
});

test("compareVersions() agrees with systemd-analyze", () => {
  const pairs = [
    ["1.2", "1.10"],
    ["1_2", "1.2"],
    ["a", "1"],
    ["1~~", "1~"],
    ["1^", "1"],
    ["01", "1"],
    ["B", "a"],
    ["1-", "1"],
    ["1^a", "1a"],
    ["1~-", "1~"],
    ["_1", "1"],
    ["1.~", "1."],
  ] as const;
  for (const [a, b] of pairs) {
    let status = 0;
    try {
      execFileSync("systemd-analyze", ["compare-versions", a, b], { stdio: "pipe" });
    } catch (error) {
      status = (error as { status: number }).status;
    }
    const said = { 0: 0, 11: 1, 12: -1 }[status];
    expect(Math.sign(compareVersions(a, b)), `${a} against ${b}`).toBe(said);
  }
});

test("compareMenuItems() lists as systemd-boot does", () => {
  const items = [
    { id: "primary.conf", sortKey: "bootc-small-0", version: "1" },
    { id: "second.conf", sortKey: "bootc-small-1", version: "2.10" },
    { id: "third.conf", sortKey: "bootc-small-1", version: "2.9" },
    { id: "other.conf", sortKey: "bootc-small-1", version: "9", machineId: "1" },
    { id: "plain-10.conf", triesLeft: 3, triesDone: 0 },
    { id: "plain-10.conf", triesLeft: 2, triesDone: 0 },
    { id: "plain-10.conf", triesLeft: 2, triesDone: 1 },
    { id: "plain-9.conf" },
    { id: "bad.conf", sortKey: "a", triesLeft: 0 },
  ];
  expect([...items].reverse().sort(compareMenuItems)).toEqual(items);
  expect(findDefault(items, undefined)).toBe(items[0]);
  expect(findDefault(items, "PLAIN-?.*")?.id).toBe("plain-9.conf");
  expect(findDefault(items, "no*such")).toBe(items[0]);
});
