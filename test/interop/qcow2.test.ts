import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { encodeQcow2, openQcow2 } from "../../src/formats/qcow2/index.ts";
import type { BytesPiece } from "../../src/lib/bytes/piece.ts";
import { fileSource, run, writeImage } from "../tools/disk.ts";

const MIB = 1 << 20;
const SIZE = 3000 * MIB + 512;
const program = readFileSync(process.execPath).subarray(0, 5 * MIB + 1234);
const pieces: BytesPiece[] = [
  { offset: 0, bytes: program },
  { offset: 600 * MIB + 100, bytes: program },
  { offset: 700 * MIB, bytes: new Uint8Array(MIB) },
  { offset: 2999 * MIB, bytes: Buffer.alloc(MIB + 512, "the end ") },
];

let directory: string;
let raw: string;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "qcow2-"));
  raw = join(directory, "disk.raw");
  await writeImage(raw, SIZE, pieces);
});
afterAll(() => rmSync(directory, { recursive: true }));

test.each([false, true])("qemu-img checks and compares what we write, compressed: %s", async (compress) => {
  const image = join(directory, "ours.qcow2");
  rmSync(image, { force: true });
  await writeImage(image, 0, encodeQcow2(pieces, { size: SIZE, compress }));
  const check = JSON.parse(run("qemu-img", ["check", "--output=json", image]));
  expect(check).toMatchObject({ "check-errors": 0, "image-end-offset": statSync(image).size });
  expect(check).not.toHaveProperty("leaks");
  expect(check).not.toHaveProperty("corruptions");
  expect(run("qemu-img", ["compare", "-f", "qcow2", "-F", "raw", image, raw])).toContain("Images are identical");
});

test.each([
  [""],
  ["-c"],
  ["-o cluster_size=512"],
  ["-c -o cluster_size=2M"],
  ["-o compat=0.10"],
  ["-o refcount_bits=1"],
])("openQcow2() reads what qemu-img convert %s makes", (flags) => {
  const image = join(directory, "theirs.qcow2");
  rmSync(image, { force: true });
  run("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", ...flags.split(" ").filter(Boolean), raw, image]);
  const disk = openQcow2(fileSource(image));
  expect(disk.size).toBe(SIZE);
  const expected = fileSource(raw);
  for (const offset of [0, 4 * MIB, 600 * MIB, 605 * MIB, 700 * MIB, 1500 * MIB, 2999 * MIB]) {
    const size = Math.min(2 * MIB + 77, SIZE - offset);
    expect(Buffer.compare(disk.read(offset, size), expected.read(offset, size)), `at ${offset}`).toBe(0);
  }
});
