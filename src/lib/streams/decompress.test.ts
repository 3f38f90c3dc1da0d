import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { constants, gzipSync, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { codeOfAsync } from "../../../test/code-of.ts";
import { type Compression, decompress } from "./decompress.ts";
import { collect } from "./pull.ts";
import { verifyDigest } from "./verify-digest.ts";
import { ZstdFrames } from "./zstd-frames.ts";

async function* chunks(bytes: Uint8Array, size = 1 << 20): AsyncGenerator<Uint8Array> {
  // One buffer again and again: a chunk that is kept beyond the next pull would show.
  const buffer = new Uint8Array(size);
  for (let at = 0; at < bytes.length; at += size) {
    const part = bytes.subarray(at, at + size);
    buffer.fill(0xee);
    buffer.set(part);
    yield buffer.subarray(0, part.length);
  }
}

const inflate = async (bytes: Uint8Array, compression: Compression, chunkSize?: number): Promise<Buffer> =>
  Buffer.from(await collect(decompress(chunks(bytes, chunkSize), compression), 1 << 30));

const text = Buffer.from("the quick brown fox ".repeat(40));
const noise = Buffer.concat(Array.from({ length: 3000 }, (_, i) => createHash("sha512").update(`${i}`).digest()));
const checksum = { params: { [constants.ZSTD_c_checksumFlag]: 1 } };
const unsized = (data: Buffer): Buffer => execFileSync("zstd", ["-q", "-c"], { input: data });
const skippable = (size: number): Buffer => {
  const frame = Buffer.alloc(8 + size, 7);
  frame.writeUInt32LE(0x184d2a5e, 0);
  frame.writeUInt32LE(size, 4);
  return frame;
};

describe("gzip", () => {
  test.each([
    ["one member", gzipSync(text), text],
    ["three members", Buffer.concat([gzipSync(text), gzipSync(""), gzipSync(noise)]), Buffer.concat([text, noise])],
    ["the gzip tool", execFileSync("gzip", ["-nc"], { input: noise }), noise],
  ])("decompress() gives all members: %s", async (_, packed, expected) => {
    for (const chunkSize of [7, 1000, 1 << 20])
      expect(expected.equals(await inflate(packed, "gzip", chunkSize))).toBe(true);
  });

  test("decompress() refuses a stream cut at any byte", async () => {
    const packed = Buffer.concat([gzipSync("one"), gzipSync("two")]);
    const between = gzipSync("one").length;
    for (let size = 0; size < packed.length; size++) {
      const code = await codeOfAsync(() => inflate(packed.subarray(0, size), "gzip"));
      expect(code, `${size} bytes`).toBe(size === between ? "accepted" : "gzip.truncated");
    }
  });

  test.each([
    ["gzip.corrupt", Buffer.concat([gzipSync("one"), Buffer.from("garbage")])],
    ["gzip.corrupt", Buffer.concat([gzipSync("one"), Buffer.alloc(20)])],
    ["gzip.corrupt", Buffer.concat([gzipSync("one"), Buffer.from("\0garbage")])],
    ["gzip.corrupt", Buffer.from("not gzip at all")],
    ["gzip.corrupt", gzipSync(text).fill(0xff, 20, 24)],
  ])("decompress() refuses at any chunk size: %s (%#)", async (code, packed) => {
    for (let size = 1; size <= packed.length; size++)
      expect(await codeOfAsync(() => inflate(packed, "gzip", size)), `${size}`).toBe(code);
  });
});

describe("zstd", () => {
  const mixed = Buffer.concat([
    skippable(3),
    zstdCompressSync(text),
    zstdCompressSync(noise, checksum),
    skippable(0),
    unsized(text),
    zstdCompressSync(""),
    unsized(Buffer.concat(Array.from({ length: 12 }, () => noise))),
    zstdCompressSync(Buffer.alloc(3 << 20)),
    skippable(100_000),
  ]);
  const decoded = Buffer.concat([text, noise, text, ...Array.from({ length: 12 }, () => noise), Buffer.alloc(3 << 20)]);

  test.each([13, 1000, 65_536, 1 << 24])("decompress() gives all frames, chunks of %i", async (chunkSize) => {
    expect(decoded.equals(await inflate(mixed, "zstd", chunkSize))).toBe(true);
  });

  test("decompress() agrees with the zstd tool on frames of all sizes", async () => {
    const parts = Array.from({ length: 60 }, (_, i) => noise.subarray(0, Math.floor(1.25 ** i) % noise.length));
    const packed = Buffer.concat(
      parts.flatMap((part, i) => [i % 2 ? unsized(part) : zstdCompressSync(part), skippable(i)]),
    );
    const theirs = execFileSync("zstd", ["-dc"], { input: packed, maxBuffer: 1 << 30 });
    expect(theirs.equals(await inflate(packed, "zstd"))).toBe(true);
  });

  test("decompress() refuses a stream cut at any byte", async () => {
    const frames = [zstdCompressSync("one", checksum), skippable(5), zstdCompressSync("two")];
    const ends = frames.map((_, i) => Buffer.concat(frames.slice(0, i + 1)).length);
    const packed = Buffer.concat(frames);
    for (let size = 0; size <= packed.length; size++) {
      const code = await codeOfAsync(() => inflate(packed.subarray(0, size), "zstd"));
      expect(code, `${size} bytes`).toBe(ends.includes(size) ? "accepted" : "zstd.truncated");
    }
  });

  const patched = (bytes: Buffer, at: number, value: number): Buffer => {
    const copy = Buffer.from(bytes);
    copy[at] = value;
    return copy;
  };
  const small = zstdCompressSync("one", checksum);
  const windowed = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xff, 1, 0, 0]);
  test.each([
    ["zstd.magic-unknown", Buffer.from("not zstd")],
    ["zstd.magic-unknown", Buffer.concat([small, Buffer.from("garbage")])],
    ["zstd.magic-unknown", Buffer.concat([small, Buffer.alloc(4)])],
    ["zstd.corrupt", patched(small, small.length - 1, (small.at(-1) as number) ^ 1)],
    ["zstd.corrupt", patched(small, 5, 4)],
    ["zstd.frame.reserved-bit", patched(small, 4, (small[4] as number) | 8)],
    ["zstd.window.too-large", windowed],
    ["zstd.block.type-reserved", patched(windowed, 5, 0).fill(7, 6, 7)],
    ["zstd.block.too-large", patched(windowed, 5, 0).fill(0xff, 7)],
  ])("decompress() refuses: %s (%#)", async (code, packed) => {
    for (const size of [1, 5, 1000]) expect(await codeOfAsync(() => inflate(packed, "zstd", size))).toBe(code);
  });

  test("ZstdFrames covers every byte once, at any chunk size", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5000 }), (size) => {
        const frames = new ZstdFrames();
        const seen: Uint8Array[] = [];
        let ended = 0;
        for (let at = 0; at < mixed.length; at += size) {
          for (const piece of frames.push(mixed.subarray(at, at + size))) {
            seen.push(piece.bytes);
            if (piece.last) ended++;
          }
        }
        frames.end();
        expect(ended).toBe(9);
        expect(Buffer.concat(seen).equals(mixed)).toBe(true);
      }),
      { numRuns: 20 },
    );
  });

  test("decompress() answers any change of bytes with bytes or a refusal", async () => {
    const base = Buffer.concat([zstdCompressSync(text, checksum), skippable(4), zstdCompressSync("tail")]);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(base.length - 1), fc.nat(255)), { minLength: 1, maxLength: 3 }),
        async (changes) => {
          const bytes = Buffer.from(base);
          for (const [at, value] of changes) bytes[at] = value;
          await codeOfAsync(() => inflate(bytes, "zstd", 50));
        },
      ),
      { numRuns: 200 },
    );
  });
});

test.each(["gzip", "zstd"] as const)("decompress() stops a %s bomb at the size asked for", async (compression) => {
  const bomb = (compression === "gzip" ? gzipSync : zstdCompressSync)(Buffer.alloc(64 << 20));
  let seen = 0;
  const work = async (): Promise<void> => {
    for await (const chunk of decompress(chunks(bomb), compression, { maxSize: 1 << 20 })) seen += chunk.length;
  };
  expect(await codeOfAsync(work)).toBe("stream.too-large");
  expect(seen).toBeLessThanOrEqual(1 << 20);
});

test.each(["none", "gzip", "zstd"] as const)(
  "decompress() closes the source when the consumer leaves (%s)",
  async (compression) => {
    const packed = { none: noise, gzip: gzipSync(noise), zstd: unsized(noise) }[compression];
    let closed = false;
    async function* source(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) yield packed;
      } finally {
        closed = true;
      }
    }
    for await (const _ of decompress(source(), compression)) break;
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(closed).toBe(true);
  },
);

test.each(["gzip", "zstd"] as const)("decompress() passes on what the source throws (%s)", async (compression) => {
  const packed = compression === "gzip" ? gzipSync(noise) : unsized(noise);
  async function* source(): AsyncGenerator<Uint8Array> {
    yield packed.subarray(0, 1000);
    throw new Error("the line went dead");
  }
  await expect(collect(decompress(source(), compression), 1 << 30)).rejects.toThrow("the line went dead");
});

test.each([
  ["accepted", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
  ["blob.size-mismatch", 2, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
  ["blob.size-mismatch", 4, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
  ["blob.digest-mismatch", 3, "00".repeat(32)],
])("verifyDigest(): %s", async (code, size, hex) => {
  expect(
    await codeOfAsync(() => collect(verifyDigest(chunks(Buffer.from("abc"), 2), `sha256:${hex}`, size), 100)),
  ).toBe(code);
});
