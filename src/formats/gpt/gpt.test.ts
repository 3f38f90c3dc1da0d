import { crc32 } from "node:zlib";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { codeOf } from "../../../test/code-of.ts";
import { memorySource } from "../../lib/bytes/byte-source.ts";
import { parseGuid } from "../../lib/bytes/guid.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import {
  encodeGpt,
  PARTITION_ATTRIBUTES,
  PARTITION_TYPES,
  type Partition,
  type PartitionTable,
  parseGpt,
  usableLbas,
} from "./index.ts";

const MIB = 1 << 20;
const DISK_SIZE = 4 * MIB;
const esp: Partition = {
  typeGuid: PARTITION_TYPES.esp,
  uniqueGuid: parseGuid("11111111-2222-3333-4444-555555555555"),
  firstLba: 2048,
  lastLba: 4095,
  attributes: 0n,
  name: "EFI-SYSTEM",
};
const root: Partition = {
  typeGuid: PARTITION_TYPES.rootX86_64,
  uniqueGuid: parseGuid("11111111-2222-3333-4444-666666666666"),
  firstLba: 4096,
  lastLba: 8158,
  attributes: PARTITION_ATTRIBUTES.growFileSystem,
  name: "root",
};
const table = { diskGuid: parseGuid("aaaaaaaa-2222-3333-4444-555555555555"), partitions: [esp, root] };

function disk(partitions: readonly Partition[] = table.partitions): Uint8Array {
  const bytes = new Uint8Array(DISK_SIZE);
  for (const piece of encodeGpt(DISK_SIZE, { ...table, partitions })) bytes.set(piece.bytes, piece.offset);
  return bytes;
}

/** GUIDs as text: one side holds Buffers, the other views. */
const bare = ({ diskGuid, partitions }: PartitionTable): unknown => [
  toHex(diskGuid),
  partitions.map((p) => ({ ...p, typeGuid: toHex(p.typeGuid), uniqueGuid: toHex(p.uniqueGuid) })),
];

test("parseGpt() gives back what encodeGpt() was given", () => {
  expect(bare(parseGpt(memorySource(disk())))).toEqual(bare(table));
});

test("usableLbas() leaves 34 sectors in front and 33 behind", () => {
  expect(usableLbas(DISK_SIZE)).toEqual({ first: 34, last: 8158 });
});

test.each<[string, Partial<Partition>, string]>([
  ["a partition before the first usable LBA", { firstLba: 33, lastLba: 40 }, "gpt.partition.out-of-bounds"],
  ["a partition beyond the last usable LBA", { lastLba: 8159 }, "gpt.partition.out-of-bounds"],
  ["a partition that ends before it starts", { firstLba: 5000, lastLba: 4999 }, "gpt.partition.out-of-bounds"],
  ["an overlap of one sector", { firstLba: 4095 }, "gpt.partition.overlap"],
  ["one GUID for two partitions", { uniqueGuid: esp.uniqueGuid }, "gpt.partition.same-guid"],
  ["a name of 37 units", { name: "x".repeat(37) }, "gpt.partition.name"],
])("encodeGpt() refuses %s", (_, change, code) => {
  expect(codeOf(() => disk([esp, { ...root, ...change }]))).toBe(code);
});

test.each([0, 512 * 67, 512 * 100 + 1])("encodeGpt() refuses a disk of %i bytes", (size) => {
  expect(codeOf(() => encodeGpt(size, { ...table, partitions: [] }))).toBe("gpt.disk-size");
});

const setU32 = (at: number, value: number) => (bytes: Uint8Array) => {
  new DataView(bytes.buffer).setUint32(at, value, true);
};
/** Changes the primary header and corrects its CRC. */
const withCrc = (change: (bytes: Uint8Array) => void) => (bytes: Uint8Array) => {
  change(bytes);
  setU32(528, 0)(bytes);
  setU32(528, crc32(bytes.subarray(512, 604)))(bytes);
};
const LAST = DISK_SIZE - 512;

test.each<[string, (bytes: Uint8Array) => void, string]>([
  ["no MBR signature", (b) => b.fill(0, 510, 512), "gpt.mbr.signature"],
  ["an MBR that protects nothing", (b) => b.fill(0x83, 450, 451), "gpt.mbr.type"],
  ["no GPT signature", (b) => b.fill(0, 512, 513), "gpt.header.signature"],
  ["a header of 91 bytes", setU32(524, 91), "gpt.header.size"],
  ["a changed primary header", (b) => b.fill(1, 580, 581), "gpt.header.crc"],
  ["a header that is somewhere else", withCrc(setU32(536, 2)), "gpt.header.my-lba"],
  ["a backup header beyond the disk", withCrc(setU32(544, 9000)), "gpt.truncated"],
  ["two million entries", withCrc(setU32(592, 2_000_000)), "gpt.entries.size"],
  ["entries of 129 bytes", withCrc(setU32(596, 129)), "gpt.entries.size"],
  ["a changed primary entry", (b) => b.fill(1, 1024, 1025), "gpt.entries.crc"],
  ["a changed backup header", (b) => b.fill(1, LAST + 60, LAST + 61), "gpt.header.crc"],
  ["a changed backup entry", (b) => b.fill(1, LAST - 100, LAST - 99), "gpt.entries.crc"],
  ["another disk GUID in the primary", withCrc((b) => b.fill(1, 568, 570)), "gpt.backup.differs"],
])("parseGpt() refuses %s", (_, change, code) => {
  const bytes = disk();
  change(bytes);
  expect(codeOf(() => parseGpt(memorySource(bytes)))).toBe(code);
});

test("parseGpt() answers changed tables with a table or a FormatError", () => {
  const good = disk();
  const small = fc.record({ at: fc.integer({ min: 440, max: 1280 }), value: fc.nat(255), fixCrc: fc.boolean() });
  fc.assert(
    fc.property(small, ({ at, value, fixCrc }) => {
      const saved = good.slice(0, 1280);
      const change = (bytes: Uint8Array): void => void (bytes[at] = value);
      (fixCrc ? withCrc(change) : change)(good);
      codeOf(() => parseGpt(memorySource(good)));
      good.set(saved);
    }),
    { numRuns: 300 },
  );
});
