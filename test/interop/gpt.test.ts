import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  encodeGpt,
  PARTITION_ATTRIBUTES,
  PARTITION_TYPES,
  type PartitionTable,
  parseGpt,
  partitionOffset,
  partitionSize,
} from "../../src/formats/gpt/index.ts";
import { parseGuid, showGuid } from "../../src/lib/bytes/guid.ts";
import { fileSource, run, writeImage } from "../tools/disk.ts";

const SIZE = 64 << 20;
const table: PartitionTable = {
  diskGuid: parseGuid("0f0e0d0c-0b0a-0908-0706-050403020100"),
  partitions: [
    {
      typeGuid: PARTITION_TYPES.esp,
      uniqueGuid: parseGuid("11111111-2222-4333-8444-555555555555"),
      firstLba: 2048,
      lastLba: 67_583,
      attributes: PARTITION_ATTRIBUTES.requiredPartition,
      name: "EFI-SYSTEM",
    },
    {
      typeGuid: PARTITION_TYPES.rootX86_64,
      uniqueGuid: parseGuid("66666666-7777-4888-9999-aaaaaaaaaaaa"),
      firstLba: 67_584,
      lastLba: 129_023,
      attributes: PARTITION_ATTRIBUTES.growFileSystem,
      name: "größe ✓",
    },
  ],
};

let directory: string;
let disk: string;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "gpt-"));
  disk = join(directory, "disk.img");
  await writeImage(disk, SIZE, encodeGpt(SIZE, table));
});
afterAll(() => rmSync(directory, { recursive: true }));

test("sgdisk and sfdisk find no fault in our table", () => {
  expect(run("sgdisk", ["-v", disk])).toContain("No problems found");
  expect(run("sfdisk", ["--verify", disk])).toContain("No errors detected");
});

test("sfdisk reads what we wrote", () => {
  const dump = JSON.parse(run("sfdisk", ["--json", disk])).partitiontable;
  expect(dump).toMatchObject({
    label: "gpt",
    id: showGuid(table.diskGuid).toUpperCase(),
    firstlba: 34,
    lastlba: 131_038,
  });
  expect(dump.partitions).toMatchObject([
    {
      start: 2048,
      size: 65_536,
      type: "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
      uuid: "11111111-2222-4333-8444-555555555555",
      name: "EFI-SYSTEM",
      attrs: "RequiredPartition",
    },
    { start: 67_584, size: 61_440, uuid: "66666666-7777-4888-9999-AAAAAAAAAAAA", name: "größe ✓", attrs: "GUID:59" },
  ]);
});

test("parseGpt() reads a table made by sfdisk, on a disk that has grown since", () => {
  const other = join(directory, "other.img");
  writeFileSync(other, "");
  truncateSync(other, SIZE);
  const script = [
    "label: gpt",
    "label-id: 0F0E0D0C-0B0A-0908-0706-050403020100",
    "size=20MiB, type=uefi, name=one, uuid=11111111-2222-4333-8444-555555555555",
    'size=30MiB, type=linux, name="two", attrs="GUID:60"',
  ].join("\n");
  run("sfdisk", [other], script);
  truncateSync(other, 2 * SIZE);
  const { diskGuid, partitions } = parseGpt(fileSource(other));
  expect(showGuid(diskGuid)).toBe("0f0e0d0c-0b0a-0908-0706-050403020100");
  expect(partitions).toMatchObject([
    { name: "one", firstLba: 2048, attributes: 0n },
    { name: "two", attributes: PARTITION_ATTRIBUTES.readOnly },
  ]);
  expect(partitions.map((partition) => [partitionOffset(partition), partitionSize(partition)])).toEqual([
    [1 << 20, 20 << 20],
    [21 << 20, 30 << 20],
  ]);
});
