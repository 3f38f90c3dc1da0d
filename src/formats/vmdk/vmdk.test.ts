import { execFileSync } from "node:child_process";
import { mkdtempSync, openSync, rmSync, truncateSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { codeOfAsync } from "../../../test/code-of.ts";
import type { BytesPiece } from "../../lib/bytes/piece.ts";
import { encodeVmdk } from "./index.ts";

const GRAIN = 65_536;
const bytes = (size: number, text = "some bytes "): Uint8Array => Buffer.alloc(size, text);

let directory: string;
beforeAll(() => void (directory = mkdtempSync(join(tmpdir(), "vmdk-"))));
afterAll(() => rmSync(directory, { recursive: true }));

async function encode(pieces: readonly BytesPiece[], size: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of encodeVmdk(pieces, { size, contentId: 0x1234 })) chunks.push(chunk);
  return Buffer.concat(chunks);
}

test.each<[string, BytesPiece[], number]>([
  ["no bytes at all", [], GRAIN],
  ["one grain", [{ offset: 0, bytes: bytes(GRAIN) }], GRAIN],
  [
    "parts of grains, zeros among them",
    [
      { offset: 100, bytes: bytes(3) },
      { offset: 200_000, bytes: bytes(GRAIN) },
      { offset: 300_000, bytes: new Uint8Array(500) },
    ],
    8 * GRAIN,
  ],
  [
    "several tables and a hole of whole tables",
    [
      { offset: 33_554_432 - 10, bytes: bytes(20) },
      { offset: 40 * 33_554_432 + 5, bytes: bytes(300_000) },
    ],
    42 * 33_554_432 + GRAIN,
  ],
  [
    "bytes that do not compress",
    [{ offset: GRAIN, bytes: Uint8Array.from({ length: GRAIN }, (_, i) => (i * i * 2_654_435_761) >>> 13) }],
    4 * GRAIN,
  ],
])("qemu-img reads %s", async (_, pieces, size) => {
  const [vmdk, raw] = [join(directory, "disk.vmdk"), join(directory, "disk.raw")];
  writeFileSync(vmdk, await encode(pieces, size));
  writeFileSync(raw, "");
  truncateSync(raw, size);
  const file = openSync(raw, "r+");
  for (const piece of pieces) writeSync(file, piece.bytes, 0, piece.bytes.length, piece.offset);
  execFileSync("qemu-img", ["check", "-f", "vmdk", vmdk], { stdio: "pipe" });
  const said = execFileSync("qemu-img", ["compare", "-f", "raw", "-F", "vmdk", raw, vmdk], { encoding: "utf8" });
  expect(said).toContain("Images are identical");
  const info = JSON.parse(execFileSync("qemu-img", ["info", "--output=json", vmdk], { encoding: "utf8" }));
  expect(info["format-specific"].data["create-type"]).toBe("streamOptimized");
});

test("encodeVmdk() refuses sizes that are no whole grains, and pieces out of order", async () => {
  expect(await codeOfAsync(() => encode([], GRAIN + 512))).toBe("vmdk.size");
  const pieces = [
    { offset: GRAIN, bytes: bytes(1) },
    { offset: 0, bytes: bytes(1) },
  ];
  await expect(encode(pieces, 2 * GRAIN)).rejects.toThrow(RangeError);
});
