import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type FatDirectory,
  type FatNode,
  findFatEntry,
  openFat,
  planFat,
  readFatDirectory,
  readFatFile,
} from "../../src/formats/fat/index.ts";
import { fileSource, run, writeImage } from "../tools/disk.ts";

const MIB = 1 << 20;
const LONG = "bootc_composefs-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.efi";

const file = (bytes: Uint8Array): FatNode<Uint8Array> => ({ kind: "file", size: bytes.length, content: bytes });
const folder = (entries: Readonly<Record<string, FatNode<Uint8Array>>>): FatDirectory<Uint8Array> => ({
  kind: "directory",
  entries: new Map(Object.entries(entries)),
});
const uki = Buffer.alloc(3_000_001, "a unified kernel image ");
const tree = folder({
  EFI: folder({
    BOOT: folder({ "BOOTX64.EFI": file(Buffer.from("loader")) }),
    Linux: folder({ bootc: folder({ [LONG]: file(uki) }) }),
  }),
  loader: folder({ "loader.conf": file(Buffer.from("timeout 0\n")), keys: folder({}) }),
  "größe €": file(Buffer.from("not ASCII")),
  empty: file(new Uint8Array(0)),
  many: folder(
    Object.fromEntries(Array.from({ length: 400 }, (_, i) => [`file with number ${i}`, file(uki.subarray(0, i))])),
  ),
});

let directory: string;
beforeAll(() => void (directory = mkdtempSync(join(tmpdir(), "fat-"))));
afterAll(() => rmSync(directory, { recursive: true }));

describe.each([8 * MIB, 40 * MIB, 100 * MIB, 1024 * MIB])("a volume of %i bytes", (size) => {
  let volume: string;
  beforeAll(async () => {
    volume = join(directory, `${size}.img`);
    const plan = planFat(tree, {
      size,
      volumeId: 0xcafe0123,
      time: 1_700_000_000,
      label: "EFI-SYSTEM",
      hiddenSectors: 2048,
    });
    await writeImage(volume, size, plan.pieces());
  });

  test("fsck.fat finds no fault", () => {
    expect(run("fsck.fat", ["-nv", volume])).toMatch(/: 413 files, /);
  });

  test("mtools read names, times and contents", () => {
    expect(run("mdir", ["-b", "-i", volume, "::EFI/Linux/bootc"]).trim()).toBe(`::/EFI/Linux/bootc/${LONG}`);
    expect(run("mdir", ["-i", volume, "::"])).toMatch(
      /Volume in drive : is EFI-SYSTEM[\s\S]*CAFE-0123[\s\S]*2023-11-14 {2}22:13 {2}größe €/,
    );
    const copy = join(directory, "copy");
    run("mcopy", ["-o", "-i", volume, `::EFI/Linux/bootc/${LONG}`, copy]);
    expect(run("cmp", [copy, writeUki()])).toBe("");
    expect(run("mtype", ["-i", volume, "::loader/loader.conf"])).toBe("timeout 0\n");
  });
});

function writeUki(): string {
  const path = join(directory, "uki");
  writeFileSync(path, uki);
  return path;
}

test.each([
  ["-F16", 20],
  ["-F32", 64],
  ["-F32 -s8", 300],
  ["-F32 -S512 -f1 -R64", 64],
])("openFat() reads what mkfs.fat %s and mcopy make of %i MiB", (flags, mib) => {
  const volume = join(directory, "mkfs.img");
  rmSync(volume, { force: true });
  run("mkfs.fat", ["-C", ...flags.split(" "), "-n", "ESP", "-i", "12345678", volume, String(mib * 1024)]);
  run("mmd", ["-i", volume, "::EFI", "::EFI/Linux"]);
  run("mcopy", ["-i", volume, writeUki(), `::EFI/Linux/${LONG}`]);
  run("mcopy", ["-i", volume, writeUki(), "::lower.txt"]);
  for (let i = 0; i < 30; i++) run("mcopy", ["-i", volume, "/etc/os-release", `::EFI/name number ${i}`]);

  const opened = openFat(fileSource(volume));
  expect(opened).toMatchObject({
    type: flags.startsWith("-F16") ? "fat16" : "fat32",
    label: "ESP",
    volumeId: 0x12345678,
  });
  expect(readFatDirectory(opened).map(({ name }) => name)).toEqual(["EFI", "lower.txt"]);
  expect(readFatDirectory(opened, findFatEntry(opened, "EFI"))).toHaveLength(31);
  const entry = findFatEntry(opened, `EFI/Linux/${LONG}`);
  expect(entry && Buffer.concat([...readFatFile(opened, entry)]).equals(uki)).toBe(true);
});
