import { execFileSync } from "node:child_process";
import { mkdtempSync, openSync, rmSync, truncateSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { codeOf } from "../../../test/code-of.ts";
import { encodeVhdFooter } from "./index.ts";

const MIB = 1 << 20;
const options = { uniqueId: new Uint8Array(16).fill(9), time: 1_700_000_000 };

test.each([MIB, 33 * MIB, 600 * MIB, 5000 * MIB, 200_000 * MIB])(
  "qemu-img knows the size of a VHD of %i bytes",
  (size) => {
    const directory = mkdtempSync(join(tmpdir(), "vhd-"));
    const file = join(directory, "disk.vhd");
    writeFileSync(file, "");
    truncateSync(file, size);
    writeSync(openSync(file, "r+"), encodeVhdFooter(size, options), 0, 512, size);
    const info = JSON.parse(
      execFileSync("qemu-img", ["info", "-f", "vpc", "--output=json", file], { encoding: "utf8" }),
    );
    rmSync(directory, { recursive: true });
    expect(info).toMatchObject({ format: "vpc", "virtual-size": size });
  },
);

test("encodeVhdFooter() has the checksum and the geometry of the specification", () => {
  const footer = Buffer.from(encodeVhdFooter(600 * MIB, options));
  expect(footer.subarray(0, 8).toString()).toBe("conectix");
  const stored = footer.readUInt32BE(64);
  footer.writeUInt32BE(0, 64);
  expect(stored).toBe(~footer.reduce((sum, byte) => sum + byte, 0) >>> 0);
  expect([footer.readUInt16BE(56), footer.readUInt8(58), footer.readUInt8(59)]).toEqual([1219, 16, 63]);
});

test.each([0, 511, 2 ** 42])("encodeVhdFooter() refuses a disk of %i bytes", (size) => {
  expect(codeOf(() => encodeVhdFooter(size, options))).toBe("vhd.size");
});
