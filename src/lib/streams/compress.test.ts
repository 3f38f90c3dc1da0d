import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { expect, test } from "vitest";
import { noise } from "../../../test/test-layer.ts";
import { compress } from "./compress.ts";
import { type Compression, decompress } from "./decompress.ts";
import { collect } from "./pull.ts";

/** Chunks that are overwritten as soon as the next one is asked for. */
async function* inReusedChunks(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array, void, void> {
  const buffer = new Uint8Array(size);
  for (let at = 0; at < bytes.length; at += size) {
    await Promise.resolve();
    const part = bytes.subarray(at, at + size);
    buffer.set(part);
    yield buffer.subarray(0, part.length);
  }
}

const packed = (bytes: Uint8Array, compression: Compression, level?: number) =>
  collect(compress(inReusedChunks(bytes, 70_000), compression, level), 1 << 30);

test.each([
  ["gzip", "gzip", 0],
  ["gzip", "gzip", 9],
  ["zstd", "zstd", 1],
  ["zstd", "zstd", 19],
] as const)("%s unpacks what compress() made, level %s %i", async (compression, tool, level) => {
  const bytes = Buffer.concat([noise(500_000), Buffer.alloc(400_000, "words and words ")]);
  const stored = await packed(bytes, compression, level);
  expect(execFileSync(tool, ["-dc"], { input: stored, maxBuffer: 1 << 30 }).equals(bytes)).toBe(true);
});

test("compress() tells no system in a gzip header, and no time", async () => {
  const stored = await packed(Buffer.from("text"), "gzip");
  expect(Buffer.from(stored.subarray(0, 10)).toString("hex")).toBe("1f8b08000000000000ff");
});

test("compress() gives what decompress() takes, whatever the bytes and the chunks", async () => {
  const compression = fc.constantFrom<Compression>("none", "gzip", "zstd");
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 3000 }),
      compression,
      fc.integer({ min: 1, max: 999 }),
      async (bytes, how, size) => {
        const back = await collect(decompress(compress(inReusedChunks(bytes, size), how), how), 1 << 20);
        expect(Buffer.compare(back, bytes)).toBe(0);
      },
    ),
    { numRuns: 50 },
  );
});

test("compress() ends with the error of its source", async () => {
  async function* failing(): AsyncGenerator<Uint8Array, void, void> {
    yield new Uint8Array(10);
    await Promise.reject(new RangeError("of the source"));
  }
  for (const compression of ["none", "gzip", "zstd"] as const) {
    await expect(collect(compress(failing(), compression), 1000)).rejects.toThrow("of the source");
  }
});
