import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { vector } from "../../../test/fixtures.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import {
  buildMerkleTree,
  computeFsverityDigest,
  digestFromLeaves,
  encodeDescriptor,
  FsverityHasher,
  hashBlocks,
  leavesSize,
  VERITY_ALGORITHMS,
  type VerityAlgorithm,
} from "./index.ts";

interface Vector {
  readonly content: string;
  readonly size: number;
  readonly sha256: string;
  readonly sha512: string;
}

const vectors = JSON.parse(readFileSync(vector("composefs/expected-verity.json"), "utf8")) as Vector[];
const algorithms = Object.keys(VERITY_ALGORITHMS) as VerityAlgorithm[];

function contentOf({ content, size }: Vector): Uint8Array {
  if (content.includes("hello world")) return Buffer.from("hello world");
  const bytes = new Uint8Array(size);
  if (content.includes("mod 251")) for (let i = 0; i < size; i++) bytes[i] = (7 * i + Math.floor(i / 4096)) % 251;
  return bytes;
}

function streamDigest(bytes: Uint8Array, chunkSize: number, algorithm: VerityAlgorithm): Uint8Array {
  const hasher = new FsverityHasher(algorithm);
  for (let at = 0; at < bytes.length; at += chunkSize) hasher.update(bytes.subarray(at, at + chunkSize));
  return hasher.digest();
}

test.each(vectors)("computeFsverityDigest() of $content is what fsverity-utils says", (expected) => {
  const bytes = contentOf(expected);
  for (const algorithm of algorithms) {
    expect(toHex(computeFsverityDigest(bytes, algorithm))).toBe(expected[algorithm]);
  }
});

test.each([1000, 4096, 5000, 65_536, 1 << 20])(
  "FsverityHasher gives the same digests for chunks of %i bytes",
  (chunk) => {
    for (const expected of vectors) {
      for (const algorithm of algorithms) {
        expect(toHex(streamDigest(contentOf(expected), chunk, algorithm))).toBe(expected[algorithm]);
      }
    }
  },
);

test("FsverityHasher agrees with computeFsverityDigest() however the data is cut", () => {
  const data = fc.record({ size: fc.integer({ min: 0, max: 700_000 }), chunk: fc.integer({ min: 500, max: 300_000 }) });
  fc.assert(
    fc.property(data, fc.constantFrom(...algorithms), ({ size, chunk }, algorithm) => {
      const bytes = new Uint8Array(size).fill(size & 0xff);
      expect(streamDigest(bytes, chunk, algorithm)).toEqual(computeFsverityDigest(bytes, algorithm));
    }),
    { numRuns: 60 },
  );
});

test("computeFsverityDigest() agrees with the fsverity tool around the sizes where a tree level is added", () => {
  const directory = mkdtempSync(join(tmpdir(), "fsverity-"));
  try {
    const sizes = [0, 1, 4095, 4096, 4097, 64 * 4096, 64 * 4096 + 1, 128 * 4096, 128 * 4096 + 1, 64 * 64 * 4096 + 1];
    for (const algorithm of algorithms) {
      const files = sizes.map((size) => {
        const path = join(directory, String(size));
        writeFileSync(path, new Uint8Array(size).fill(0x5a));
        return path;
      });
      const lines = execFileSync("fsverity", ["digest", `--hash-alg=${algorithm}`, "--compact", ...files]);
      const digests = sizes.map((size) => toHex(computeFsverityDigest(new Uint8Array(size).fill(0x5a), algorithm)));
      expect(digests).toEqual(lines.toString().trim().split("\n"));
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("hashBlocks() writes at the offset it is given, also into shared memory, and refuses what does not fit", () => {
  const data = new Uint8Array(4097);
  const shared = new Uint8Array(new SharedArrayBuffer(100), 10, 74);
  expect(hashBlocks(data, "sha256", shared, 10)).toBe(64);
  expect(digestFromLeaves(Buffer.from(shared.subarray(10)), 4097, "sha256")).toEqual(
    computeFsverityDigest(data, "sha256"),
  );
  expect(shared.subarray(0, 10)).toEqual(new Uint8Array(10));
  expect(() => hashBlocks(data, "sha256", shared, 11)).toThrow(RangeError);
});

test("digestFromLeaves() refuses leaves of another size", () => {
  expect(() => digestFromLeaves(new Uint8Array(64), 4096, "sha256")).toThrow(RangeError);
  expect(() => buildMerkleTree(new Uint8Array(33), "sha256")).toThrow(RangeError);
});

test("buildMerkleTree() gives padded levels, the one below the root hash first", () => {
  const data = new Uint8Array(129 * 4096);
  const leaves = new Uint8Array(leavesSize(data.length, "sha256"));
  hashBlocks(data, "sha256", leaves, 0);
  const { levels, rootHash } = buildMerkleTree(leaves, "sha256");
  expect(levels.map((level) => level.length)).toEqual([4096, 8192]);
  expect(levels[1]?.subarray(0, leaves.length)).toEqual(leaves);
  const again = new Uint8Array(32);
  hashBlocks(levels[0] as Uint8Array, "sha256", again, 0);
  expect(again).toEqual(new Uint8Array(rootHash));
  expect(buildMerkleTree(leaves.subarray(0, 32), "sha256").levels).toEqual([]);
});

test("encodeDescriptor() fills the fields of struct fsverity_descriptor", () => {
  const descriptor = encodeDescriptor(0x0102n, new Uint8Array(32).fill(0xaa), "sha256");
  expect(descriptor.length).toBe(256);
  expect(toHex(descriptor.subarray(0, 24))).toBe("01010c00000000000201000000000000aaaaaaaaaaaaaaaa");
  expect(descriptor.subarray(48).every((byte) => byte === 0)).toBe(true);
});
