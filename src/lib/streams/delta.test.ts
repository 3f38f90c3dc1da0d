import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import { noise } from "../../../test/test-layer.ts";
import { asDictionary, encodeSegment, planDelta } from "./delta.ts";

const MIB = 1 << 20;

test("planDelta() covers a file with segments, each with a dictionary inside the old one", () => {
  fc.assert(
    fc.property(fc.nat(300 * MIB), fc.nat(300 * MIB), (size, oldSize) => {
      let position = 0;
      for (const { dictionaryFrom, dictionaryTo, from, to } of planDelta(size, oldSize)) {
        expect([from, to > from]).toEqual([position, true]);
        expect(dictionaryFrom >= 0 && dictionaryFrom <= dictionaryTo && dictionaryTo <= oldSize).toBe(true);
        expect(dictionaryTo - dictionaryFrom).toBeLessThanOrEqual(12 * MIB);
        expect(to - from).toBeLessThanOrEqual(12 * MIB);
        position = to;
      }
      expect(position).toBe(size);
    }),
  );
});

const old = noise(3 * MIB, "old");
const changed = Buffer.concat([old.subarray(0, MIB), Buffer.from("put in between"), old.subarray(MIB)]);

test("zstd itself makes the new file of the old one and the delta", async () => {
  const directory = mkdtempSync(join(tmpdir(), "delta-"));
  try {
    const delta = await encodeSegment(changed, old);
    expect(delta.length).toBeLessThan(4000);
    writeFileSync(join(directory, "old"), old);
    writeFileSync(join(directory, "delta.zst"), delta);
    const args = ["-d", "-q", "-c", `--patch-from=${join(directory, "old")}`, join(directory, "delta.zst")];
    expect(execFileSync("zstd", args, { maxBuffer: 1 << 30 }).equals(changed)).toBe(true);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("a large file with something put in costs some thousand bytes, and comes back from its segments", async () => {
  const large = Buffer.concat([noise(13 * MIB, "large"), Buffer.alloc(MIB, "text of some kind ")]);
  const next = Buffer.concat([large.subarray(0, 5 * MIB), noise(1000, "new"), large.subarray(5 * MIB)]);
  let size = 0;
  for (const { dictionaryFrom, dictionaryTo, from, to } of planDelta(next.length, large.length)) {
    const dictionary = large.subarray(dictionaryFrom, dictionaryTo);
    const delta = await encodeSegment(next.subarray(from, to), dictionary);
    size += delta.length;
    expect(zstdDecompressSync(delta, { dictionary }).equals(next.subarray(from, to))).toBe(true);
  }
  expect(size).toBeLessThan(40_000);
});

test("encodeSegment() takes any bytes as a dictionary, those that look like one included", async () => {
  const magic = Buffer.from("37a430ec01020304", "hex");
  for (const dictionary of [magic, Buffer.concat([magic, noise(2000)]), Buffer.alloc(1), Buffer.alloc(0)]) {
    const delta = await encodeSegment(changed.subarray(0, 5000), dictionary);
    const back = zstdDecompressSync(delta, { dictionary: asDictionary(dictionary) });
    expect(back.equals(changed.subarray(0, 5000))).toBe(true);
  }
});
