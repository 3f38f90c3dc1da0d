import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import * as fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { codeOf } from "../../../test/code-of.ts";
import { byteString, bytesToByteString } from "../../lib/bytes/byte-string.ts";
import { type CpioInput, encodeCpio, listInitramfs, readCpio, requireInitramfsEntries } from "./index.ts";

const directory = mkdtempSync(join(tmpdir(), "sealwright-cpio-"));
afterAll(() => rmSync(directory, { recursive: true }));

function run(command: string, args: readonly string[], input: Uint8Array | string, cwd = directory): Buffer {
  const { status, stdout, stderr, error } = spawnSync(command, args, { input, cwd });
  if (error) throw error;
  if (status !== 0) throw new Error(`${command}: ${stderr.toString()}`);
  return stdout;
}

const encode = (entries: Iterable<CpioInput>): Buffer => Buffer.concat([...encodeCpio(entries)]);
const entry = (path: string, content = "", mode = 0o100644): CpioInput => ({
  path: byteString(path),
  mode,
  content: Buffer.from(content),
});
const early = encode([entry("kernel", "", 0o040755), entry("kernel/microcode.bin", "fake")]);
const main = encode([
  entry("init", "#!/bin/sh\n", 0o100755),
  entry("größe", "x"),
  entry("bin/sh", "busybox", 0o120777),
]);
const paths = (bytes: Uint8Array): string[] =>
  requireInitramfsEntries(listInitramfs(bytes)).map(({ path }) => Buffer.from(path, "latin1").toString());

describe("encodeCpio()", () => {
  test("writes what GNU cpio lists and unpacks", () => {
    const listed = run("cpio", ["-itv", "--numeric-uid-gid", "--quiet"], main).toString().trimEnd().split("\n");
    expect(listed).toEqual([
      expect.stringMatching(/^-rwxr-xr-x +1 0 +0 +10 .* 1970 init$/),
      expect.stringMatching(/^-rw-r--r-- +1 0 +0 +1 .* 1970 größe$/),
      expect.stringMatching(/^lrwxrwxrwx +1 0 +0 +7 .* 1970 bin\/sh -> busybox$/),
    ]);
    const unpacked = join(directory, "unpacked");
    mkdirSync(unpacked);
    run("cpio", ["-id", "--quiet"], main, unpacked);
    expect(readFileSync(join(unpacked, "init"), "utf8")).toBe("#!/bin/sh\n");
  });

  test("pads headers, names and contents to 4 bytes and ends with the trailer", () => {
    const [head, content, padding, trailer, ...rest] = [...encodeCpio([entry("a", "12345")])];
    expect(Buffer.from(head ?? []).toString("latin1")).toBe(
      ["070701", "00000001", "000081a4", "0".repeat(16), "00000001", "0".repeat(8), "00000005", "0".repeat(32)].join(
        "",
      ) + `00000002${"0".repeat(8)}a\0`,
    );
    expect([content?.length, padding?.length, trailer?.length, rest.length]).toEqual([5, 3, 124, 0]);
  });

  test.each([
    ["cpio.name.size", { path: byteString(""), mode: 0 }],
    ["cpio.name.size", { path: byteString("a\0b"), mode: 0 }],
    ["cpio.name.size", { path: byteString("a".repeat(4096)), mode: 0 }],
    ["accepted", { path: byteString("a".repeat(4095)), mode: 0 }],
    ["cpio.field", { path: byteString("a"), mode: 0, mtime: -1 }],
    ["cpio.field", { path: byteString("a"), mode: 0, inode: 2 ** 32 }],
  ])("gives %s", (code, input) => {
    expect(codeOf(() => encode([input]))).toBe(code);
  });
});

describe("readCpio()", () => {
  test("reads what GNU cpio writes", () => {
    const tree = join(directory, "tree");
    mkdirSync(join(tree, "sub"), { recursive: true });
    writeFileSync(join(tree, "sub/file"), "content of 16 B.");
    symlinkSync("sub/file", join(tree, "link"));
    const archive = run("cpio", ["-o", "-H", "newc", "--quiet"], ".\nsub\nsub/file\nlink\n", tree);
    const { entries, end } = readCpio(archive);
    expect(entries.map(({ path, content }) => [path, Buffer.from(content).toString()])).toEqual([
      [".", ""],
      ["sub", ""],
      ["sub/file", "content of 16 B."],
      ["link", "sub/file"],
    ]);
    expect(end).toBeLessThanOrEqual(archive.length);
    expect((entries[1]?.mode ?? 0) & 0o170000).toBe(0o040000);
  });

  test("gives back what was encoded", () => {
    const u32 = fc.nat(0xffff_ffff);
    const name = fc.uint8Array({ minLength: 1, maxLength: 20, min: 1 }).map(bytesToByteString);
    const numbers = { mode: u32, uid: u32, gid: u32, nlink: u32, mtime: u32, inode: u32 };
    const device = { devMajor: u32, devMinor: u32, rdevMajor: u32, rdevMinor: u32 };
    const any = fc.record({ path: name, ...numbers, ...device, content: fc.uint8Array({ maxLength: 30 }) });
    fc.assert(
      fc.property(fc.array(any, { maxLength: 5 }), (entries) => {
        const bytes = encode(entries);
        const read = readCpio(bytes);
        expect(read.end).toBe(bytes.length);
        expect(read.entries).toEqual(entries.map((each) => ({ ...each, content: Buffer.from(each.content) })));
      }),
    );
  });

  const patched = (offset: number, text: string): Buffer => {
    const copy = Buffer.from(main);
    copy.write(text, offset, "latin1");
    return copy;
  };
  test.each([
    ["cpio.truncated", main.subarray(0, 100)],
    ["cpio.truncated", main.subarray(0, 112)],
    ["cpio.truncated", main.subarray(0, 120)],
    ["cpio.truncated", early.subarray(0, early.length - 124)],
    ["cpio.magic", patched(0, "070707")],
    ["cpio.field", patched(6, "+0000001")],
    ["cpio.name.size", patched(6 + 11 * 8, "00000000")],
    ["cpio.name.size", patched(6 + 11 * 8, "ffffffff")],
    ["cpio.name.end", patched(6 + 11 * 8, "00000004")],
    ["cpio.truncated", patched(6 + 6 * 8, "ffffffff")],
  ])("refuses with %s", (code, bytes) => {
    expect(codeOf(() => readCpio(bytes))).toBe(code);
  });
});

describe("listInitramfs()", () => {
  const pack = (command: string, args: readonly string[]): Buffer => run(command, args, main);
  const all = ["kernel", "kernel/microcode.bin", "init", "größe", "bin/sh"];

  test.each<[string, Buffer]>([
    ["none", main],
    ["gzip", gzipSync(main)],
    ["zstd", zstdCompressSync(main)],
    ["zstd", pack("zstd", ["-19", "--check"])],
    ["gzip", pack("gzip", ["-9"])],
  ])("opens an early archive and a main one, packed with %s, padding between and behind", (compression, packed) => {
    const bytes = Buffer.concat([early, Buffer.alloc(512), packed, Buffer.alloc(4 - (packed.length % 4)), early]);
    const members = listInitramfs(bytes);
    expect(members.map((member) => [member.compression, member.offset])).toEqual([
      ["none", 0],
      [compression, early.length + 512],
      ["none", bytes.length - early.length],
    ]);
    expect(members[1]?.size).toBe(packed.length);
    expect(paths(bytes)).toEqual([...all, ...all.slice(0, 2)]);
  });

  test.each([
    ["xz", ["xz", "--check=crc32"]],
    ["lzma", ["xz", "--format=lzma"]],
    ["lz4", ["lz4", "-l", "-c"]],
    ["bzip2", ["bzip2"]],
  ])("names %s and does not open it", (compression, [command = "", ...args]) => {
    const members = listInitramfs(Buffer.concat([early, pack(command, args)]));
    expect(members.map((member) => [member.compression, member.entries?.length])).toEqual([
      ["none", 2],
      [compression, undefined],
    ]);
    expect(codeOf(() => requireInitramfsEntries(members))).toBe("cpio.compression");
  });

  test.each<[string, Buffer]>([
    ["accepted", Buffer.alloc(0)],
    ["accepted", Buffer.alloc(7)],
    ["accepted", gzipSync(Buffer.concat([main, Buffer.alloc(8), early]))],
    ["cpio.archive.misaligned", Buffer.concat([Buffer.alloc(2), main])],
    ["cpio.archive.misaligned", gzipSync(Buffer.concat([Buffer.alloc(2), main]))],
    ["cpio.member.unknown", Buffer.from("hello")],
    ["cpio.member.data", gzipSync(main).subarray(0, 60)],
    ["cpio.zstd.truncated", zstdCompressSync(main).subarray(0, 60)],
    ["cpio.zstd.truncated", Buffer.from("28b52ffd", "hex")],
    ["cpio.zstd.block", Buffer.from("28b52ffd0000070000", "hex")],
    ["cpio.magic", gzipSync(Buffer.from("hello, this is not an archive".repeat(9)))],
  ])("answers %s", (code, bytes) => {
    expect(codeOf(() => listInitramfs(bytes))).toBe(code);
  });

  test("answers mutated bytes with a value or a coded refusal", () => {
    const whole = [early, gzipSync(main), Buffer.alloc(3), zstdCompressSync(main)];
    const sound = Buffer.concat(whole);
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(sound.length - 1), fc.nat(255)), { maxLength: 4 }), (changes) => {
        const bytes = Buffer.from(sound);
        for (const [at, value] of changes) bytes[at] = value;
        codeOf(() => listInitramfs(bytes));
      }),
      { numRuns: 2000 },
    );
  });
});
