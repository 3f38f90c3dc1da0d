import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Ext4Directory, findInode, openExt4, planExt4, readFile } from "../../src/formats/ext4/index.ts";
import { type FatDirectory, findFatEntry, openFat, planFat, readFatFile } from "../../src/formats/fat/index.ts";
import {
  encodeGpt,
  PARTITION_TYPES,
  type Partition,
  parseGpt,
  partitionOffset,
  partitionSize,
} from "../../src/formats/gpt/index.ts";
import { encodeQcow2, openQcow2 } from "../../src/formats/qcow2/index.ts";
import { windowSource } from "../../src/lib/bytes/byte-source.ts";
import { byteString } from "../../src/lib/bytes/byte-string.ts";
import { parseGuid } from "../../src/lib/bytes/guid.ts";
import { type Piece, resolvePieces, shiftPieces } from "../../src/lib/bytes/piece.ts";
import { fileSource, openBytes, run, writeImage } from "../tools/disk.ts";

const MIB = 1 << 20;
const SIZE = 1024 * MIB;
const content = Buffer.alloc(5 * MIB + 3, "an object ");
const esp: Partition = {
  typeGuid: PARTITION_TYPES.esp,
  uniqueGuid: parseGuid("11111111-2222-4333-8444-555555555555"),
  firstLba: 2048,
  lastLba: 2048 + (64 * MIB) / 512 - 1,
  attributes: 0n,
  name: "EFI-SYSTEM",
};
const root: Partition = {
  typeGuid: PARTITION_TYPES.rootX86_64,
  uniqueGuid: parseGuid("11111111-2222-4333-8444-666666666666"),
  firstLba: esp.lastLba + 1,
  lastLba: SIZE / 512 - 2048 - 1,
  attributes: 0n,
  name: "root",
};
const uuid = new Uint8Array(16).fill(7);
const meta = { mode: 0o755, uid: 0, gid: 0, mtimeSec: 0n, mtimeNsec: 0, xattrs: new Map() };
const espTree: FatDirectory<Uint8Array> = {
  kind: "directory",
  entries: new Map([["uki.efi", { kind: "file", size: content.length, content }]]),
};
const rootTree: Ext4Directory<Uint8Array> = {
  kind: "directory",
  meta,
  entries: new Map([[byteString("object"), { kind: "file", meta, size: content.length, content }]]),
};

/** A whole disk as pieces: tables, both file systems, the copy of the tables. */
function* diskPieces(): Generator<Piece<Uint8Array>, void, void> {
  const [primary, backup] = encodeGpt(SIZE, { diskGuid: uuid, partitions: [esp, root] });
  yield primary;
  const volume = planFat(espTree, { size: partitionSize(esp), volumeId: 1, time: 0, hiddenSectors: esp.firstLba });
  yield* shiftPieces(volume.pieces(), partitionOffset(esp));
  const system = planExt4(rootTree, { uuid, hashSeed: uuid, time: { sec: 0n, nsec: 0 }, size: partitionSize(root) });
  yield* shiftPieces(system.pieces(), partitionOffset(root));
  yield backup;
}

let directory: string;
beforeAll(() => void (directory = mkdtempSync(join(tmpdir(), "disk-"))));
afterAll(() => rmSync(directory, { recursive: true }));

test("a disk of both file systems is one to every tool, and the same in qcow2", async () => {
  const raw = join(directory, "disk.raw");
  await writeImage(raw, SIZE, diskPieces());
  expect(run("sgdisk", ["-v", raw])).toContain("No problems found");
  const part = join(directory, "part");
  for (const [{ firstLba, lastLba }, check] of [
    [esp, ["fsck.fat", "-n", part]],
    [root, ["e2fsck", "-fn", part]],
  ] as const) {
    const [skip, count] = [firstLba / 2048, (lastLba + 1 - firstLba) / 2048];
    run("dd", [`if=${raw}`, `of=${part}`, "bs=1M", `skip=${skip}`, `count=${count}`, "conv=sparse"]);
    run(check[0], check.slice(1));
  }

  const qcow2 = join(directory, "disk.qcow2");
  await writeImage(qcow2, 0, encodeQcow2(resolvePieces(diskPieces(), openBytes), { size: SIZE }));
  expect(run("qemu-img", ["compare", raw, qcow2])).toContain("Images are identical");

  const disk = openQcow2(fileSource(qcow2));
  const [first, second] = parseGpt(disk).partitions as [Partition, Partition];
  const volume = openFat(windowSource(disk, partitionOffset(first), partitionSize(first)));
  const entry = findFatEntry(volume, "uki.efi");
  expect(entry && Buffer.concat([...readFatFile(volume, entry)]).equals(content)).toBe(true);
  const system = openExt4(windowSource(disk, partitionOffset(second), partitionSize(second)));
  const inode = findInode(system, byteString("object"));
  expect(inode && Buffer.concat([...readFile(system, inode)]).equals(content)).toBe(true);
});
