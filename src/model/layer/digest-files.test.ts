import { execFileSync } from "node:child_process";
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { noise } from "../../../test/test-layer.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import type { WorkerPool } from "../../lib/hash/worker-pool.ts";
import type { ProgressEvent } from "../../lib/progress.ts";
import { digestFiles } from "./digest-files.ts";
import { openVerityPool } from "./verity-pool.ts";

const scratch = mkdtempSync(join(tmpdir(), "digest-files-test-"));
let pool: WorkerPool;
beforeAll(() => {
  pool = openVerityPool(2);
});
afterAll(async () => {
  await pool[Symbol.asyncDispose]();
  rmSync(scratch, { recursive: true });
});

const algorithms = ["sha256", "sha512"] as const;
/** Many small ones, and some around the limits of a batch and of a range. */
const sizes = [
  ...Array.from({ length: 150 }, (_, index) => index * 97),
  1 << 20,
  3_000_000,
  4 << 20,
  (4 << 20) + 1,
  20_000_000,
  7,
];
const files = sizes.map((size, index) => {
  const path = join(scratch, `f${index}`);
  writeFileSync(path, noise(size, `${index}`));
  return { path, size };
});

test("digestFiles() gives the digests that fsverity gives, in order", async () => {
  const found = await digestFiles(files, { algorithms, pool });
  for (const algorithm of algorithms) {
    const args = ["digest", "--compact", `--hash-alg=${algorithm}`, ...files.map(({ path }) => path)];
    const theirs = execFileSync("fsverity", args, { encoding: "utf8" }).trim().split("\n");
    expect(found.map((digests) => toHex(digests[algorithm] as Uint8Array))).toEqual(theirs);
  }
});

test("digestFiles() reads names that are not UTF-8", async () => {
  const path = Buffer.concat([Buffer.from(`${scratch}/`), Buffer.from([0xfe, 0xff])]);
  writeFileSync(path, "hello world");
  const [found] = await digestFiles([{ path, size: 11 }], { algorithms: ["sha256"] });
  expect(toHex(found?.sha256 as Uint8Array)).toBe("1e2eaa4202d750a41174ee454970b92c1bc2f925b1e35076d8c7d5f56362ba64");
});

test("digestFiles() reports progress up to the size of all files", async () => {
  const events: ProgressEvent[] = [];
  await digestFiles(files, { algorithms, pool, progress: (event) => events.push(event) });
  const total = sizes.reduce((a, b) => a + b, 0);
  expect(events.at(-1)).toMatchObject({ done: total, total });
});

mkdirSync(join(scratch, "directory"));
symlinkSync("f150", join(scratch, "link"));
test.each([
  ["tree.file-changed", "f10", 969],
  ["tree.file-changed", "f10", 971],
  ["tree.file-changed", "f154", 20_000_001],
  ["tree.file-changed", "f154", 19_999_999],
  ["tree.file-changed", "directory", 4096],
  ["tree.unreadable", "link", 1 << 20],
  ["tree.unreadable", "absent", 5],
])("digestFiles() refuses: %s of %s", async (code, name, size) => {
  const listed = [files[0], { path: join(scratch, name), size }, files[1]] as { path: string; size: number }[];
  await expect(digestFiles(listed, { algorithms, pool })).rejects.toMatchObject({ code });
});

test("digestFiles() refuses a large file that changes between two of its parts", async () => {
  const path = join(scratch, "growing");
  writeFileSync(path, noise(40_000_000));
  let grown = false;
  const progress = (): void => {
    if (!grown) appendFileSync(path, "x");
    grown = true;
  };
  const work = digestFiles([{ path, size: 40_000_000 }], { algorithms, pool, progress });
  await expect(work).rejects.toMatchObject({ code: "tree.file-changed" });
});

test("digestFiles() stops when the signal aborts", async () => {
  const stop = new AbortController();
  const work = digestFiles(files, { algorithms, pool, signal: stop.signal, progress: () => stop.abort() });
  await expect(work).rejects.toMatchObject({ code: "interrupted" });
});
