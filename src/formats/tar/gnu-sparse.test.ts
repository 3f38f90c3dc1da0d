import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { encodeGnuSparseHeader, TAR_END } from "./index.ts";

test.each([0, 1, 3, 4, 5, 25, 26, 100])("GNU tar unpacks a sparse file of %i parts", (count) => {
  const parts = Array.from({ length: count }, (_, index) => ({ offset: 512 + index * 8192, size: 1024 }));
  const size = 9 * 2 ** 30;
  const expected = parts.map(({ size: length }, index) => Buffer.alloc(length, `part ${index} `));
  const header = encodeGnuSparseHeader({ name: "disk.raw", size, time: 1_700_000_000, parts });
  const directory = mkdtempSync(join(tmpdir(), "sparse-"));
  try {
    execFileSync("tar", ["-x", "-C", directory], {
      input: Buffer.concat([header, ...expected, TAR_END]),
      stdio: "pipe",
    });
    const file = join(directory, "disk.raw");
    expect(statSync(file)).toMatchObject({ size, mtimeMs: 1_700_000_000_000 });
    const head = execFileSync("head", ["-c", String(512 + count * 8192), file], { maxBuffer: 1 << 24 });
    const whole = Buffer.alloc(512 + count * 8192);
    parts.forEach(({ offset }, index) => whole.set(expected[index] as Buffer, offset));
    expect(head.equals(whole)).toBe(true);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("encodeGnuSparseHeader() ends the map where the file ends", () => {
  const header = Buffer.from(
    encodeGnuSparseHeader({ name: "disk.raw", size: 1024, time: 0, parts: [{ offset: 0, size: 1024 }] }),
  );
  expect(header).toHaveLength(512);
  expect(header.toString("latin1", 386, 410)).toBe("00000000000\u000000000002000\u0000");
});
