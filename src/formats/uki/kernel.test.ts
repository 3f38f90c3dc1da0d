import { gzipSync, zstdCompressSync } from "node:zlib";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { codeOf } from "../../../test/code-of.ts";
import {
  encodeHwids,
  findKernelVersion,
  mergeSbat,
  parseEnvFile,
  parseHwidDescription,
  parseSbat,
  toBootableKernel,
} from "./index.ts";

const banner = Buffer.from("junk Linux version %s\0 Linux version 6.12.1-1.test (b@h) (gcc) #1 SMP\0");

/** As much of a bzImage as tells its version. */
function bootHeader(version: string): Buffer {
  const bytes = Buffer.alloc(0x400);
  bytes.write("HdrS", 0x202, "latin1");
  bytes.writeUInt16LE(0x100, 0x20e);
  bytes.write(version, 0x300, "latin1");
  return bytes;
}

/** A 64-bit ELF with one PT_NOTE segment, which holds a foreign note and the build salt. */
function elf(salt: string): Buffer {
  const note = (name: string, type: number, content: Buffer): Buffer => {
    const padded = (part: Buffer): Buffer => Buffer.concat([part, Buffer.alloc((4 - (part.length % 4)) % 4)]);
    const head = Buffer.alloc(12);
    head.writeUInt32LE(name.length, 0);
    head.writeUInt32LE(content.length, 4);
    head.writeUInt32LE(type, 8);
    return Buffer.concat([head, padded(Buffer.from(name)), padded(content)]);
  };
  const notes = Buffer.concat([note("GNU\0", 3, Buffer.alloc(20)), note("Linux\0", 0x100, Buffer.from(`${salt}\0`))]);
  const head = Buffer.alloc(64 + 56);
  head.write("7f454c460201", 0, "hex");
  head.writeBigUInt64LE(64n, 0x20);
  head.writeUInt16LE(56, 0x36);
  head.writeUInt16LE(1, 0x38);
  head.writeUInt32LE(4, 64);
  head.writeBigUInt64LE(BigInt(head.length), 64 + 8);
  head.writeBigUInt64LE(BigInt(notes.length), 64 + 32);
  return Buffer.concat([head, notes]);
}

function zboot(payload: Buffer): Buffer {
  const head = Buffer.alloc(0x40);
  head.write("MZ\0\0zimg", "latin1");
  head.writeUInt32LE(head.length, 8);
  head.writeUInt32LE(payload.length, 12);
  return Buffer.concat([head, payload]);
}

describe("findKernelVersion()", () => {
  test.each([
    ["a boot header", bootHeader("6.1.0-56-cloud-amd64 (d@l) #1 SMP Debian"), "6.1.0-56-cloud-amd64"],
    ["an ELF note", elf("6.12.1-elf"), "6.12.1-elf"],
    ["the banner", banner, "6.12.1-1.test"],
    ["the banner in gzip", gzipSync(banner), "6.12.1-1.test"],
    ["the banner in zstd", zstdCompressSync(banner), "6.12.1-1.test"],
    ["the banner in a zboot image", zboot(gzipSync(banner)), "6.12.1-1.test"],
    ["nothing", Buffer.from("nothing"), undefined],
    ["a cut gzip", gzipSync(banner).subarray(0, 30), undefined],
    ["xz", Buffer.from("fd377a585a0000", "hex"), undefined],
    ["a zboot image that claims too much", zboot(banner).subarray(0, 80), undefined],
  ])("looks at %s", (_, kernel, version) => {
    expect(findKernelVersion(kernel)).toBe(version);
  });

  test("answers mutated kernels", () => {
    const kernels = [bootHeader("6.1 (a) #1"), elf("6.1"), gzipSync(banner), zboot(zstdCompressSync(banner))];
    const change = fc.array(fc.tuple(fc.nat(0x3ff), fc.nat(255)), { maxLength: 3 });
    fc.assert(
      fc.property(fc.constantFrom(...kernels), change, (kernel, changes) => {
        const bytes = Buffer.from(kernel);
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        findKernelVersion(bytes);
      }),
      { numRuns: 1000 },
    );
  });
});

test.each([
  ["accepted", gzipSync(banner)],
  ["accepted", Buffer.from("unknown")],
  ["uki.kernel.compressed-data", gzipSync(banner).subarray(0, 30)],
  ["uki.kernel.compression", Buffer.from("fd377a585a00", "hex")],
  ["uki.kernel.compression", Buffer.from("04224d18", "hex")],
])("toBootableKernel() answers %s", (code, kernel) => {
  expect(codeOf(() => toBootableKernel(kernel))).toBe(code);
});

test("toBootableKernel() unpacks what firmware could not start", () => {
  expect(Buffer.compare(toBootableKernel(zstdCompressSync(banner)), banner)).toBe(0);
});

describe("SBAT", () => {
  test("mergeSbat() keeps one header and every line", () => {
    const sources = ["sbat,1,x\na,1\n", "sbat,1,y\r\nb,2,v,p,3,u\r\n"].map((text) => ({ what: "test", text }));
    expect(parseSbat(mergeSbat(sources), "test").map((entry) => [entry.component, entry.generation])).toEqual([
      ["sbat", 1],
      ["a", 1],
      ["b", 2],
    ]);
  });

  test.each([
    ["uki.sbat.header", ""],
    ["uki.sbat.header", "a,1\n"],
    ["uki.sbat.entry", "sbat,1\na\n"],
    ["uki.sbat.entry", "sbat,1\na,0\n"],
    ["uki.sbat.entry", "sbat,1\na,1,b,c,d,e,f\n"],
  ])("parseSbat() refuses with %s: %j", (code, text) => {
    expect(codeOf(() => parseSbat(text, "test"))).toBe(code);
  });
});

describe("hardware ids", () => {
  const device = { type: "devicetree", name: "n", compatible: "c", hwids: ["8be4df61-93ca-11d2-aa0d-00e098032b8c"] };
  const parse = (value: unknown) => parseHwidDescription(Buffer.from(JSON.stringify(value)), "test.json");

  test("encodeHwids() unites descriptions of one device and sorts its ids", () => {
    const other = { ...device, hwids: ["00000000-93ca-11d2-aa0d-00e098032b8c"] };
    const fw = { type: "uefi-fw", name: "n", fwid: "f", hwids: device.hwids };
    const bytes = Buffer.from(encodeHwids([parse(device), parse(other), parse(fw), parse(device)]));
    expect(bytes).toHaveLength(4 * 28 + 6);
    expect([0, 28, 56, 84].map((at) => bytes.readUInt32LE(at))).toEqual([0x1000_001c, 0x1000_001c, 0x2000_001c, 0]);
    expect(bytes.toString("hex", 4, 8)).toBe("00000000");
    expect(bytes.toString("latin1", 4 * 28)).toBe("c\0f\0n\0");
  });

  test.each([
    ["uki.hwids.json", []],
    ["uki.hwids.key", {}],
    ["uki.hwids.key", { ...device, type: "other" }],
    ["uki.hwids.key", { ...device, compatible: 1 }],
    ["uki.hwids.key", { ...device, fwid: "f" }],
    ["uki.hwids.key", { ...device, hwids: "x" }],
    ["uki.hwids.chid", { ...device, hwids: ["x"] }],
  ])("parseHwidDescription() refuses with %s: %j", (code, value) => {
    expect(codeOf(() => parse(value))).toBe(code);
  });
});

test.each([
  ['A=b\nA="c d"\n', { A: "c d" }],
  ['A=\'x\\y\'\nB="\\$\\"\\n"\nC=a\\ b', { A: "x\\y", B: '$"\\n', C: "a b" }],
  ["# A=b\n=x\nnothing\n 1A=b\nB = c", {}],
  ['A="open', { A: "open" }],
])("parseEnvFile(%j)", (text, expected) => {
  expect(Object.fromEntries(parseEnvFile(text))).toEqual(expected);
});
