import * as fc from "fast-check";
import { expect, test } from "vitest";
import { codeOf, codeOfAsync } from "../../../test/code-of.ts";
import { memorySource } from "../../lib/bytes/byte-source.ts";
import type { BytesPiece } from "../../lib/bytes/piece.ts";
import { encodeQcow2, openQcow2, type Qcow2Options } from "./index.ts";

const CLUSTER = 65_536;
const SIZE = 600 * CLUSTER + 512;

async function image(pieces: readonly BytesPiece[], options: Qcow2Options): Promise<Uint8Array> {
  const bytes = Buffer.alloc(8 << 20);
  let end = 0;
  for await (const piece of encodeQcow2(pieces, options)) {
    bytes.set(piece.bytes, piece.offset);
    end = Math.max(end, piece.offset + piece.bytes.length);
  }
  return bytes.subarray(0, end);
}

const noise = (size: number, seed: number): Uint8Array => {
  const bytes = new Uint8Array(size);
  let state = seed;
  for (let i = 0; i < size; i++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[i] = state >>> 16;
  }
  return bytes;
};
const pieces: BytesPiece[] = [
  { offset: 0, bytes: noise(100, 1) },
  { offset: 60_000, bytes: noise(3 * CLUSTER, 2) },
  { offset: 10 * CLUSTER, bytes: Buffer.alloc(4 * CLUSTER, "text ") },
  { offset: 20 * CLUSTER + 7, bytes: new Uint8Array(2 * CLUSTER) },
  { offset: 599 * CLUSTER, bytes: noise(CLUSTER + 512, 3) },
];
const flat = Buffer.alloc(SIZE);
for (const { offset, bytes } of pieces) flat.set(bytes, offset);

test.each([false, true])("openQcow2() gives back what encodeQcow2() was given, compressed: %s", async (compress) => {
  const bytes = await image(pieces, { size: SIZE, compress });
  const disk = openQcow2(memorySource(bytes));
  expect(disk.size).toBe(SIZE);
  expect(Buffer.compare(disk.read(0, SIZE), flat)).toBe(0);
  for (const [offset, size] of [
    [0, 1],
    [65_535, 2],
    [10 * CLUSTER - 3, 70_000],
    [SIZE - 1, 1],
  ] as const) {
    expect(Buffer.compare(disk.read(offset, size), flat.subarray(offset, offset + size))).toBe(0);
  }
});

test("encodeQcow2() leaves out clusters of zeros", async () => {
  const bytes = await image(pieces, { size: SIZE });
  const dataClusters = 4 + 4 + 2;
  const others = 1 /* header */ + 1 /* L2 */ + 1 /* L1 */ + 1 /* refcount block */ + 1; /* refcount table */
  expect(bytes.length).toBe((dataClusters + others) * CLUSTER);
});

test("encodeQcow2() does not depend on how the disk is cut into pieces", async () => {
  const fine = pieces.flatMap(({ offset, bytes }) =>
    Array.from({ length: Math.ceil(bytes.length / 5000) }, (_, i) => ({
      offset: offset + i * 5000,
      bytes: bytes.subarray(i * 5000, (i + 1) * 5000),
    })),
  );
  expect(Buffer.compare(await image(fine, { size: SIZE }), await image(pieces, { size: SIZE }))).toBe(0);
});

test.each([0, 511, 2 ** 53])("encodeQcow2() refuses a disk of %i bytes", async (size) => {
  expect(await codeOfAsync(() => image([], { size }))).toBe("qcow2.size");
});

test("encodeQcow2() refuses pieces out of order", async () => {
  await expect(image([...pieces].reverse(), { size: SIZE })).rejects.toThrow(RangeError);
});

const good = await image(pieces, { size: SIZE });
test.each<[string, (bytes: Buffer) => void, string]>([
  ["another magic", (b) => b.writeUInt8(0, 0), "qcow2.magic"],
  ["version 1", (b) => b.writeUInt32BE(1, 4), "qcow2.version"],
  ["a backing file", (b) => b.writeUInt8(1, 15), "qcow2.backing-file"],
  ["encryption", (b) => b.writeUInt32BE(2, 32), "qcow2.encrypted"],
  ["an external data file", (b) => b.writeUInt8(4, 79), "qcow2.feature"],
  ["a corrupt mark", (b) => b.writeUInt8(2, 79), "qcow2.feature"],
  ["clusters of 4 MiB", (b) => b.writeUInt32BE(22, 20), "qcow2.header"],
  ["an L1 table that is too short", (b) => b.writeUInt32BE(0, 36), "qcow2.header"],
  ["a disk of 2^60 bytes", (b) => b.writeUInt8(0x10, 24), "qcow2.header"],
  ["an L1 table beyond the file", (b) => b.writeUInt8(1, 43), "qcow2.truncated"],
  ["a cluster beyond the file", (b) => b.writeUInt8(0x7f, 11 * CLUSTER + 4), "qcow2.truncated"],
  ["a compressed cluster that is none", (b) => b.writeUInt8(0x40, 11 * CLUSTER), "qcow2.compressed"],
])("openQcow2() and read refuse %s", (_, change, code) => {
  const bytes = Buffer.from(good);
  change(bytes);
  expect(codeOf(() => openQcow2(memorySource(bytes)).read(0, CLUSTER))).toBe(code);
});

test("openQcow2() answers changed bytes with a disk or a refusal", () => {
  const l2 = 11 * CLUSTER;
  const interesting = fc.oneof(
    fc.integer({ min: 0, max: 104 }),
    fc.integer({ min: l2, max: l2 + 64 }),
    fc.integer({ min: l2 + CLUSTER, max: l2 + CLUSTER + 8 }),
  );
  const bytes = Buffer.from(good);
  fc.assert(
    fc.property(fc.array(fc.tuple(interesting, fc.nat(255)), { minLength: 1, maxLength: 4 }), (list) => {
      for (const [at, value] of list) bytes[at] = value;
      codeOf(() => {
        const disk = openQcow2(memorySource(bytes));
        disk.read(0, Math.min(disk.size, 4 * CLUSTER));
      });
      for (const [at] of list) bytes[at] = good[at] as number;
    }),
    { numRuns: 300 },
  );
});
