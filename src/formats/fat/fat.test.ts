import * as fc from "fast-check";
import { expect, test } from "vitest";
import { codeOf } from "../../../test/code-of.ts";
import { memorySource } from "../../lib/bytes/byte-source.ts";
import { isBytesPiece } from "../../lib/bytes/piece.ts";
import { toDosTime } from "./directory.ts";
import {
  type FatDirectory,
  type FatNode,
  type FatOptions,
  findFatEntry,
  openFat,
  planFat,
  readFatDirectory,
  readFatFile,
} from "./index.ts";
import { aliasShortName, exactShortName } from "./names.ts";

const MIB = 1 << 20;
const options: FatOptions = { size: 40 * MIB, volumeId: 0x1234abcd, time: 1_700_000_000, label: "EFI-SYSTEM" };

const file = (bytes: Uint8Array): FatNode<Uint8Array> => ({ kind: "file", size: bytes.length, content: bytes });
const directory = (entries: Readonly<Record<string, FatNode<Uint8Array>>>): FatDirectory<Uint8Array> => ({
  kind: "directory",
  entries: new Map(Object.entries(entries)),
});
const pattern = (size: number): Uint8Array => Buffer.alloc(size, "sealwright ");

const tree = directory({
  EFI: directory({
    BOOT: directory({ "BOOTX64.EFI": file(pattern(120_000)) }),
    Linux: directory({
      "bootc_composefs-0123456789abcdef.efi": file(pattern(70_001)),
      "größe €.txt": file(pattern(3)),
    }),
  }),
  loader: directory({ "loader.conf": file(Buffer.from("timeout 0\n")), "entries.srel": file(Buffer.from("type1\n")) }),
  empty: file(new Uint8Array(0)),
  "a.b.c": file(pattern(1)),
  many: directory(Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`long file name ${i}`, file(pattern(i))]))),
});

function image(root: FatDirectory<Uint8Array>, change: Partial<FatOptions> = {}): Uint8Array {
  const all = { ...options, ...change };
  const bytes = new Uint8Array(all.size);
  let end = 0;
  for (const piece of planFat(root, all).pieces()) {
    expect(piece.offset).toBeGreaterThanOrEqual(end);
    const part = isBytesPiece(piece) ? piece.bytes : piece.content;
    bytes.set(part, piece.offset);
    end = piece.offset + part.length;
  }
  return bytes;
}

test.each([
  [5 * MIB, "fat16"],
  [16 * MIB, "fat16"],
  [40 * MIB, "fat32"],
] as const)("openFat() reads what planFat() writes into %i bytes", (size, type) => {
  const volume = openFat(memorySource(image(tree, { size })));
  expect(volume).toMatchObject({ type, label: "EFI-SYSTEM", volumeId: 0x1234abcd });
  expect(
    readFatDirectory(volume)
      .map(({ name }) => name)
      .sort(),
  ).toEqual([...tree.entries.keys()].sort());
  const many = findFatEntry(volume, "many");
  expect(readFatDirectory(volume, many)).toHaveLength(300);
  for (const [path, content] of [
    ["EFI/BOOT/BOOTX64.EFI", pattern(120_000)],
    ["efi/linux/bootc_composefs-0123456789ABCDEF.EFI", pattern(70_001)],
    ["EFI/Linux/größe €.txt", pattern(3)],
    ["empty", new Uint8Array(0)],
    ["many/long file name 299", pattern(299)],
  ] as const) {
    const entry = findFatEntry(volume, path);
    expect(entry && Buffer.concat([...readFatFile(volume, entry)]).equals(content), path).toBe(true);
  }
  expect(findFatEntry(volume, "EFI/none/x")).toBeUndefined();
});

/** Cluster sizes of mkfs.fat for the sizes of an ESP. */
test.each([
  [64 * MIB, 512],
  [512 * MIB, 4096],
  [1024 * MIB, 4096],
  [9 * 1024 * MIB, 8192],
])("planFat() divides %i bytes into clusters of %i", (size, clusterSize) => {
  const plan = planFat(tree, { ...options, size });
  expect(plan).toMatchObject({ type: "fat32", clusterSize });
});

test("planFat() gives equal bytes for equal input, whatever the order of the entries", () => {
  const reversed: FatDirectory<Uint8Array> = { ...tree, entries: new Map([...tree.entries].reverse()) };
  expect(Buffer.compare(image(tree, { size: 5 * MIB }), image(reversed, { size: 5 * MIB }))).toBe(0);
});

test.each<[string, FatDirectory<Uint8Array>, Partial<FatOptions>, string]>([
  ["a volume below FAT16", tree, { size: 2 * MIB }, "fat.too-small"],
  ["a volume of 2 TiB", tree, { size: 2 ** 41 }, "fat.too-large"],
  ["more than fits", directory({ a: file(pattern(6 * MIB)) }), { size: 5 * MIB }, "fat.full"],
  ["a label in lower case", tree, { label: "esp" }, "fat.label"],
  ["a label of 12 characters", tree, { label: "ABCDEFGHIJKL" }, "fat.label"],
  ["a name with a colon", directory({ "a:b": tree }), {}, "fat.name"],
  ["a name that ends with a dot", directory({ "a.": tree }), {}, "fat.name"],
  ["an empty name", directory({ "": tree }), {}, "fat.name"],
  ["the name ..", directory({ "..": tree }), {}, "fat.name"],
  ["a name of 256 units", directory({ ["n".repeat(256)]: tree }), {}, "fat.name"],
  ["half a character", directory({ "a\ud800": tree }), {}, "fat.name"],
  ["names that differ in case", directory({ a: tree, A: tree }), {}, "fat.name-twice"],
  ["a file of 4 GiB", directory({ a: { kind: "file", size: 2 ** 32, content: pattern(0) } }), {}, "fat.file-too-large"],
])("planFat() refuses %s", (_, root, change, code) => {
  expect(codeOf(() => planFat(root, { ...options, ...change }))).toBe(code);
});

test.each([
  ["README.TXT", "README  TXT"],
  ["A", "A          "],
  ["Readme.txt", undefined],
  ["a.b.c", undefined],
  ["LONGEXT.HTML", undefined],
  ["WITH SP", undefined],
  ["COMMA,X", undefined],
])("exactShortName(%j) is %j", (name, expected) => {
  expect(exactShortName(name)).toBe(expected);
});

/** The examples of section 7.4 of the specification, with lower case as other writers treat it. */
test.each([
  ["The quick brown.fox", [], "THEQUI~1FOX"],
  ["The quick brown.fox", ["THEQUI~1FOX"], "THEQUI~2FOX"],
  ["a.b.c", [], "AB~1    C  "],
  [".hidden", [], "HIDDEN~1   "],
  ["größe €", [], "GR_SSE~1   "],
  ["+,;=[].txt", [], "______~1TXT"],
])("aliasShortName(%j) beside %j is %j", (name, taken, expected) => {
  expect(aliasShortName(name, new Set(taken))).toBe(expected);
});

test.each([
  [0, { date: 0x0021, time: 0 }],
  [1_700_000_000, { date: 0x576e, time: 0xb1aa }],
  [2 ** 40, { date: 0xff9f, time: 0xbf7d }],
])("toDosTime(%i) is UTC, and the nearest that can be said", (seconds, expected) => {
  expect(toDosTime(seconds)).toEqual(expected);
});

const small = image(directory({ "a long name": file(pattern(5000)), SUB: directory({ X: file(pattern(600)) }) }), {
  size: 5 * MIB,
});
const FAT_AT = 2 * 512;

function readAll(bytes: Uint8Array): void {
  const volume = openFat(memorySource(bytes));
  const queue = readFatDirectory(volume).map((entry) => ({ entry, depth: 1 }));
  for (const { entry, depth } of queue) {
    if (entry.kind === "file") for (const _ of readFatFile(volume, entry)) void _;
    else if (depth < 8 && queue.length < 1000) {
      for (const child of readFatDirectory(volume, entry)) queue.push({ entry: child, depth: depth + 1 });
    }
  }
}

test.each<[string, (bytes: Buffer) => void, string]>([
  ["no signature", (b) => b.fill(0, 510, 512), "fat.boot.signature"],
  ["sectors of 4096 bytes", (b) => b.writeUInt16LE(4096, 11), "fat.unsupported"],
  ["three sectors per cluster", (b) => b.writeUInt8(3, 13), "fat.boot.field"],
  ["no reserved sectors", (b) => b.writeUInt16LE(0, 14), "fat.boot.field"],
  ["no FAT", (b) => b.writeUInt8(0, 16), "fat.boot.field"],
  ["more sectors than there are", (b) => b.writeUInt16LE(0xffff, 19), "fat.boot.field"],
  ["a FAT that is too short", (b) => b.writeUInt16LE(1, 22), "fat.boot.field"],
  ["so few sectors that it is FAT12", (b) => b.writeUInt16LE(1000, 19), "fat.unsupported"],
  ["a chain that leaves the volume", (b) => b.writeUInt16LE(0xf000, FAT_AT + 6), "fat.chain.cluster"],
  ["a chain that is too short", (b) => b.writeUInt16LE(0xffff, FAT_AT + 6), "fat.chain.short"],
])("the reader refuses %s", (_, change, code) => {
  const bytes = Buffer.from(small);
  change(bytes);
  expect(codeOf(() => readAll(bytes))).toBe(code);
});

test("the reader ends on a directory whose chain is a loop", () => {
  const bytes = Buffer.from(small);
  const sub = findFatEntry(openFat(memorySource(small)), "SUB");
  const cluster = sub?.cluster as number;
  bytes.writeUInt16LE(cluster, FAT_AT + cluster * 2);
  bytes.fill(
    "X",
    openFat(memorySource(small)).clusterOffset(cluster) + 64,
    openFat(memorySource(small)).clusterOffset(cluster + 1),
  );
  expect(readFatDirectory(openFat(memorySource(bytes)), sub).length).toBeLessThan(65_536);
});

test("the reader answers changed bytes with values or refusals", () => {
  const interesting = fc.oneof(
    fc.integer({ min: 0, max: 511 }),
    fc.integer({ min: FAT_AT, max: FAT_AT + 40 }),
    fc.nat(60_000),
  );
  const changes = fc.array(fc.tuple(interesting, fc.nat(255)), { minLength: 1, maxLength: 4 });
  const bytes = Buffer.from(small);
  fc.assert(
    fc.property(changes, (list) => {
      const saved = list.map(([at]) => bytes[at] as number);
      for (const [at, value] of list) bytes[at] = value;
      codeOf(() => readAll(bytes));
      for (const [i, [at]] of [...list.entries()].reverse()) bytes[at] = saved[i] as number;
    }),
    { numRuns: 300 },
  );
});
