import { execFileSync } from "node:child_process";
import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { codeOf } from "../../../test/code-of.ts";
import { vector } from "../../../test/fixtures.ts";
import { type ByteString, byteString, bytesToByteString } from "../../lib/bytes/byte-string.ts";
import { alignUp } from "../../lib/bytes/numbers.ts";
import { encodeTarEntry, TAR_END, type TarEntry, type TarItem, TarReader, TarStream, tarPadding } from "./index.ts";
import { encodePax, parsePax, paxTime } from "./pax.ts";

const scratch = mkdtempSync(join(tmpdir(), "tar-test-"));
afterAll(() => rmSync(scratch, { recursive: true }));

function readItems(archive: Uint8Array): TarItem[] {
  const reader = new TarReader();
  const items: TarItem[] = [];
  for (let need = reader.need; need !== undefined && need.offset + need.size <= archive.length; need = reader.need) {
    const item = reader.take(archive.subarray(need.offset, need.offset + need.size));
    if (item !== undefined) items.push(item);
  }
  reader.end(archive.length);
  return items;
}

const readEntries = (archive: Uint8Array): TarEntry[] => readItems(archive).map((item) => item.entry);

function readStream(archive: Uint8Array, chunkSize: number): { entry: TarEntry; offset: number; content: Buffer }[] {
  const seen: { entry: TarEntry; offset: number; content: Buffer }[] = [];
  const stream = new TarStream({
    entry: (item) => seen.push({ ...item, content: Buffer.alloc(0) }),
    content: (bytes) => {
      const last = seen.at(-1);
      if (last !== undefined) last.content = Buffer.concat([last.content, bytes]);
    },
  });
  for (let at = 0; at < archive.length; at += chunkSize) stream.push(archive.subarray(at, at + chunkSize));
  stream.end();
  return seen;
}

const plain = { mode: 0o644, uid: 0, gid: 0, mtimeSec: 1n, mtimeNsec: 0, xattrs: new Map<ByteString, ByteString>() };
const file = (path: string, size: number, more: Partial<TarEntry> = {}): TarEntry =>
  ({ ...plain, path: byteString(path), kind: "file", size, ...more }) as TarEntry;

/** An archive from entries (content: their size in `x`) and raw blocks. */
function archive(...parts: (TarEntry | Uint8Array)[]): Buffer {
  return Buffer.concat([...parts.flatMap(withContent), TAR_END]);
}

function withContent(part: TarEntry | Uint8Array): Uint8Array[] {
  if (part instanceof Uint8Array) return [part];
  const size = part.kind === "file" ? part.size : 0;
  return [encodeTarEntry(part), Buffer.alloc(size, "x"), tarPadding(size)];
}

/** A header with fields replaced and its checksum made good again. */
function header(fields: Record<number, string>, base: TarEntry = file("f", 0)): Buffer {
  const block = Buffer.from(encodeTarEntry(base));
  for (const [offset, text] of Object.entries(fields)) block.write(text, Number(offset), "latin1");
  block.write(" ".repeat(8), 148, "latin1");
  block.write(
    `${block
      .reduce((a, b) => a + b, 0)
      .toString(8)
      .padStart(6, "0")}\0 `,
    148,
    "latin1",
  );
  return block;
}

const extension = (type: string, data: Uint8Array): Buffer =>
  Buffer.concat([header({ 156: type, 124: data.length.toString(8).padStart(11, "0") }), data, tarPadding(data.length)]);
const pax = (...records: [string, string][]): Buffer =>
  extension("x", encodePax(records.map(([key, value]) => [key, byteString(value)])));

describe("TarReader", () => {
  test.each([
    ["1", { 108: "0001777\0" }, { uid: 0o1777 }],
    ["blanks and no NUL", { 108: "   12345" }, { uid: 0o12345 }],
    ["a blank field", { 100: "        " }, { mode: 0 }],
    ["base-256 beyond 32 bits, cut", { 108: "\x80\x00\x00\x05\x00\x00\x00\x07" }, { uid: 7 }],
    ["type bits in the mode", { 100: "0100755\0" }, { mode: 0o755 }],
    ["type 7", { 156: "7" }, { kind: "file" }],
    ["type NUL", { 156: "\0" }, { kind: "file" }],
    ["a file with a trailing slash", { 0: "d/" }, { kind: "file", path: "d/" }],
    ["ustar prefix", { 345: "a/b" }, { path: "a/b/f" }],
    ["GNU magic has no prefix", { 257: "ustar  \0", 345: "a/b" }, { path: "f" }],
  ])("take() reads header fields: %s", (_, fields, expected) => {
    expect(readEntries(Buffer.concat([header(fields), TAR_END]))[0]).toMatchObject(expected);
  });

  test("take() accepts the signed checksum of old writers", () => {
    const block = header({ 0: "\xff\xfe" });
    const signed = new Int8Array(block.buffer, block.byteOffset, 512).reduce(
      (a, b, i) => a + (i >= 148 && i < 156 ? 32 : b),
      0,
    );
    block.write(`${signed.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
    expect(readEntries(Buffer.concat([block, TAR_END]))).toHaveLength(1);
  });

  test.each([
    ["12.5", { mtimeSec: 12n, mtimeNsec: 500_000_000 }],
    ["12.05", { mtimeSec: 12n, mtimeNsec: 50_000_000 }],
    ["12.1234567899", { mtimeSec: 12n, mtimeNsec: 123_456_789 }],
    ["12.", { mtimeSec: 12n, mtimeNsec: 0 }],
    ["12", { mtimeSec: 12n, mtimeNsec: 0 }],
    ["12.5x", { mtimeSec: 12n, mtimeNsec: 0 }],
    ["12.12345678x", { mtimeSec: 12n, mtimeNsec: 0 }],
    ["12.123456789x", { mtimeSec: 12n, mtimeNsec: 123_456_789 }],
  ])("take() reads the PAX mtime %s", (mtime, expected) => {
    expect(readEntries(archive(pax(["mtime", mtime]), file("f", 0)))[0]).toMatchObject(expected);
  });

  test("take() keeps the first fraction and the last seconds of a repeated mtime", () => {
    const [entry] = readEntries(archive(pax(["mtime", "1.25"], ["mtime", "2.75"]), file("f", 0)));
    expect(entry).toMatchObject({ mtimeSec: 2n, mtimeNsec: 250_000_000 });
  });

  test("take() lets PAX win over GNU long names, and those over the header", () => {
    const long = extension("L", Buffer.from("long\0"));
    expect(readEntries(archive(long, file("f", 0)))[0]?.path).toBe("long");
    expect(readEntries(archive(long, pax(["path", "pax"]), file("f", 0)))[0]?.path).toBe("pax");
    const link = { ...plain, path: byteString("l"), kind: "symlink", target: byteString("t") } as const;
    expect(readEntries(archive(extension("K", Buffer.from("far\0")), link))[0]).toMatchObject({ target: "far" });
  });

  test("take() keeps bytes in xattr values and the last value of a repeated name", () => {
    const value = "\x01\x00\x00\x02\x80\n=\xff" as ByteString;
    const data = encodePax([
      ["SCHILY.xattr.security.capability", byteString("old")],
      ["SCHILY.xattr.security.capability", value],
      ["LIBARCHIVE.xattr.user.x", byteString("ignored")],
    ]);
    expect(readEntries(archive(extension("x", data), file("f", 0)))[0]?.xattrs).toEqual(
      new Map([["security.capability", value]]),
    );
  });

  test("take() reads past global headers", () => {
    const global = extension(
      "g",
      encodePax([
        ["path", byteString("wrong")],
        ["uid", byteString("7")],
      ]),
    );
    expect(readEntries(archive(global, file("f", 0)))[0]).toMatchObject({ path: "f", uid: 0 });
  });

  test("take() does not read what follows the end blocks", () => {
    expect(readEntries(Buffer.concat([archive(file("a", 3)), Buffer.from("anything")]))).toHaveLength(1);
  });

  test("end() accepts an archive that stops after content, as composefs-rs does", () => {
    expect(readEntries(Buffer.concat(withContent(file("a", 3))))).toHaveLength(1);
  });

  const sized = (size: string) => ({ 124: size });
  test.each<[string, () => Uint8Array]>([
    ["tar.number.malformed", () => Buffer.concat([Buffer.alloc(512, "z"), TAR_END])],
    ["tar.header.checksum-mismatch", () => archive(file("f", 0)).fill("g", 0, 1)],
    ["tar.number.malformed", () => archive(header({ 108: "00x1777\0" }))],
    ["tar.number.malformed", () => archive(pax(["mtime", "-5"]), file("f", 0))],
    ["tar.number.malformed", () => archive(pax(["uid", "1e3"]), file("f", 0))],
    ["tar.number.malformed", () => archive(pax(["mtime", ".5"]), file("f", 0))],
    ["tar.number.negative", () => archive(header({ 124: `\xff${"\xff".repeat(10)}\xfb` }))],
    ["tar.number.too-large", () => archive(header({ 136: `\x80${"\xff".repeat(11)}` }))],
    ["tar.number.too-large", () => archive(header({ 124: "\x80\x00\x00\x00\x00\x20\x00\x00\x00\x00\x00\x00" }))],
    ["tar.number.too-large", () => archive(header({ 124: "\x80\x00\x00\x00\x00\x1f\xff\xff\xff\xff\xff\xff" }))],
    ["tar.number.too-large", () => archive(pax(["mtime", "9223372036854775808"]), file("f", 0))],
    ["tar.entry.type-unsupported", () => archive(header({ 156: "D" }))],
    ["tar.entry.type-unsupported", () => archive(header({ 156: "x", 257: "\0\0\0\0\0\0\0\0" }))],
    ["tar.sparse.unsupported", () => archive(header({ 156: "S" }))],
    ["tar.sparse.unsupported", () => archive(pax(["GNU.sparse.major", "1"], ["GNU.sparse.minor", "0"]), file("f", 0))],
    ["tar.sparse.unsupported", () => archive(pax(["GNU.sparse.map", "0,1"]), file("f", 0))],
    ["tar.pax.malformed", () => archive(extension("x", Buffer.from("12 path=a\n")), file("f", 0))],
    ["tar.pax.malformed", () => archive(extension("x", Buffer.from("9 path=abc\n")), file("f", 0))],
    ["tar.pax.malformed", () => archive(extension("x", Buffer.from("6 pat\n")), file("f", 0))],
    ["tar.pax.malformed", () => archive(extension("x", Buffer.from("path=a\n")), file("f", 0))],
    ["tar.pax.malformed", () => archive(extension("x", Buffer.from("2 \n")), file("f", 0))],
    ["tar.pax.keyword-not-utf8", () => archive(extension("x", Buffer.from("6 \xff=a\n", "latin1")), file("f", 0))],
    [
      "tar.pax.mtime-malformed",
      () => archive(extension("x", Buffer.from("13 mtime=1.\xff\n", "latin1")), file("f", 0)),
    ],
    ["tar.xattr.name-empty", () => archive(pax(["SCHILY.xattr.", "v"]), file("f", 0))],
    ["tar.entry.path-empty", () => archive(header({ 0: "\0" }))],
    ["tar.entry.path-empty", () => archive(pax(["path", ""]), file("f", 0))],
    ["tar.entry.name-has-nul", () => archive(pax(["path", "a\0b"]), file("f", 0))],
    ["tar.entry.target-empty", () => archive(header({ 156: "2" }))],
    ["tar.entry.content-unexpected", () => archive(header({ 156: "5", ...sized("00000000001\0") }))],
    ["tar.entry.content-unexpected", () => archive(pax(["size", "1"]), header({ 156: "2", 157: "t" }))],
    ["tar.device.pre-ustar", () => archive(header({ 156: "3", 257: "\0".repeat(8) }))],
    ["tar.extension.duplicate", () => archive(pax(["uid", "1"]), pax(["uid", "2"]), file("f", 0))],
    [
      "tar.extension.duplicate",
      () => archive(extension("L", Buffer.from("a")), extension("L", Buffer.from("b")), file("f", 0)),
    ],
    ["tar.extension.too-large", () => archive(header({ 156: "x", ...sized("00004000001\0") }))],
    ["tar.extension.too-large", () => archive(header({ 156: "g", ...sized("00004000001\0") }))],
    ["tar.extension.orphaned", () => archive(pax(["uid", "1"]))],
    ["tar.extension.orphaned", () => archive(pax(["uid", "1"]), extension("g", Buffer.alloc(0)), file("f", 0))],
    ["tar.archive.lone-zero-block", () => archive(Buffer.alloc(512), file("f", 0))],
    ["tar.archive.truncated", () => archive(file("f", 0)).subarray(0, 512)],
    ["tar.archive.truncated", () => archive(file("f", 0)).subarray(0, 1024)],
    ["tar.archive.truncated", () => archive(file("f", 3)).subarray(0, 515)],
    ["tar.archive.truncated", () => archive(file("f", 3)).subarray(0, 1300)],
    ["tar.archive.truncated", () => archive(pax(["uid", "1"]), file("f", 3)).subarray(0, 1024)],
  ])("take() and end() refuse: %s (%#)", (code, make) => {
    expect(codeOf(() => readItems(make()))).toBe(code);
    expect(codeOf(() => readStream(make(), 100))).toBe(code);
  });

  test("a file of 100 GB without its bytes is refused, nothing being set aside for it", () => {
    const block = encodeTarEntry(file("big", 100e9));
    expect(codeOf(() => readItems(block))).toBe("tar.archive.truncated");
    expect(codeOf(() => readStream(block, 512))).toBe("tar.archive.truncated");
  });

  test("any change of bytes gives entries or a refusal", () => {
    const base = archive(
      pax(["mtime", "1.5"], ["SCHILY.xattr.user.a", "v"]),
      file("a", 5),
      extension("L", Buffer.from("long\0")),
      file("b", 600),
    );
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(base.length - 1), fc.nat(255)), { maxLength: 4 }),
        fc.integer({ min: 1, max: 999 }),
        (changes, chunk) => {
          const bytes = Buffer.from(base);
          for (const [at, value] of changes) bytes[at] = value;
          expect(codeOf(() => readStream(bytes, chunk))).toBe(codeOf(() => readItems(bytes)));
        },
      ),
      { numRuns: 400 },
    );
  });
});

const anyName = fc
  .uint8Array({ minLength: 1, maxLength: 300 })
  .map((bytes) => bytesToByteString(bytes.map((b) => b || 1)));
const u32 = fc.oneof(fc.nat(0o7777777), fc.integer({ min: 0, max: 0xffff_ffff }));
const anyMeta = fc.record({
  path: anyName,
  mode: fc.nat(0o7777),
  uid: u32,
  gid: u32,
  mtimeSec: fc.bigInt({ min: 0n, max: 2n ** 40n }),
  mtimeNsec: fc.oneof(fc.constant(0), fc.nat(999_999_999)),
  xattrs: fc
    .dictionary(fc.stringMatching(/^[a-z.]{1,20}$/), fc.uint8Array({ maxLength: 80 }), { maxKeys: 3 })
    .map((all) => new Map(Object.entries(all).map(([key, value]) => [key as ByteString, bytesToByteString(value)]))),
});
const anyKind = fc.oneof(
  fc.record({ kind: fc.constant("file" as const), size: fc.nat(3000) }),
  fc.record({ kind: fc.constantFrom("hardlink" as const, "symlink" as const), target: anyName }),
  fc.record({ kind: fc.constantFrom("char" as const, "block" as const), major: fc.nat(4095), minor: fc.nat(0xfffff) }),
  fc.record({ kind: fc.constantFrom("directory" as const, "fifo" as const) }),
);
const anyEntry: fc.Arbitrary<TarEntry> = fc.tuple(anyMeta, anyKind).map(([meta, kind]) => ({ ...meta, ...kind }));

describe("encodeTarEntry", () => {
  test("gives what TarReader reads, at any chunk size", () => {
    fc.assert(
      fc.property(fc.array(anyEntry, { maxLength: 5 }), fc.integer({ min: 1, max: 2000 }), (entries, chunkSize) => {
        const bytes = archive(...entries);
        expect(readEntries(bytes)).toEqual(entries);
        const seen = readStream(bytes, chunkSize);
        expect(seen.map(({ entry }) => entry)).toEqual(entries);
        for (const { entry, offset, content } of seen) {
          const size = entry.kind === "file" ? entry.size : 0;
          expect(content.equals(bytes.subarray(offset, offset + size))).toBe(true);
        }
      }),
      { numRuns: 150 },
    );
  });

  test("writes a PAX header only where ustar has no room", () => {
    const blocks = (more: Partial<TarEntry>): number => encodeTarEntry(file("f", 0, more)).length / 512;
    expect(blocks({})).toBe(1);
    expect(blocks({ path: byteString("p".repeat(100)), uid: 0o7777777 })).toBe(1);
    for (const more of [
      { path: byteString("p".repeat(101)) },
      { path: byteString("ä") },
      { uid: 0o10000000 },
      { mtimeNsec: 1 },
      { xattrs: new Map([[byteString("user.a"), byteString("")]]) },
      { kind: "file", size: 8 ** 11 } as const,
    ]) {
      expect(blocks(more), JSON.stringify(Object.keys(more))).toBe(3);
    }
  });

  test.each([
    ["tar.xattr.name-unsupported", { xattrs: new Map([["user.a=b" as ByteString, byteString("")]]) }],
    ["tar.xattr.name-unsupported", { xattrs: new Map([["user.\xff" as ByteString, byteString("")]]) }],
  ])("refuses: %s", (code, more) => {
    expect(codeOf(() => encodeTarEntry(file("f", 0, more)))).toBe(code);
  });

  test("writes times before 1970 as GNU tar does", () => {
    const tar = archive(file("old", 0, { mtimeSec: -86_400n }), TAR_END);
    expect(readEntries(tar)).toMatchObject([{ mtimeSec: -86_400n, mtimeNsec: 0 }]);
    const listed = execFileSync("tar", ["--utc", "--full-time", "-tvf", "-"], { input: tar, encoding: "utf8" });
    expect(listed).toContain("1969-12-31 00:00:00 old");
    const fraction = file("old", 0, { mtimeSec: -1n, mtimeNsec: 5 });
    expect(codeOf(() => encodeTarEntry(fraction))).toBe("tar.mtime.unsupported");
  });

  test("throws a RangeError for numbers without a place", () => {
    expect(() => encodeTarEntry({ ...plain, path: byteString("d"), kind: "char", major: 2 ** 21, minor: 0 })).toThrow(
      RangeError,
    );
  });

  test("is read by GNU tar, bsdtar and Python as it was meant", () => {
    const entries: TarEntry[] = [
      { ...plain, path: byteString("d/"), kind: "directory", mode: 0o1777 },
      file("d/größe", 700, { mtimeSec: 1_700_000_000n, mtimeNsec: 120_000_000, uid: 0o10000000 }),
      file(`d/${"n".repeat(180)}`, 3, { xattrs: new Map([[byteString("user.a"), "\x80\n\0" as ByteString]]) }),
      { ...plain, path: byteString("d/link"), kind: "symlink", mode: 0o777, target: byteString("t".repeat(150)) },
      { ...plain, path: byteString("d/hard"), kind: "hardlink", target: byteString("d/größe") },
      { ...plain, path: byteString("d/null"), kind: "char", major: 1, minor: 3 },
      { ...plain, path: byteString("d/pipe"), kind: "fifo" },
    ];
    const path = join(scratch, "ours.tar");
    writeFileSync(path, archive(...entries));
    const names = entries.map((entry) => Buffer.from(entry.path, "latin1").toString());
    expect(
      execFileSync("tar", ["--quoting-style=literal", "-tf", path], { encoding: "utf8" }).trim().split("\n"),
    ).toEqual(names);
    expect(
      execFileSync("bsdtar", ["-tf", path], { encoding: "utf8", env: { ...process.env, LC_ALL: "C.UTF-8" } })
        .trim()
        .split("\n"),
    ).toEqual(names);
    const python = `
import tarfile, json, sys
print(json.dumps([[m.name, m.type.decode(), m.size, m.mode, m.uid, float(m.mtime), m.linkname, m.devmajor, m.devminor] for m in tarfile.open(sys.argv[1])]))`;
    const seen = JSON.parse(execFileSync("python3", ["-c", python, path], { encoding: "utf8" })) as unknown[][];
    expect(seen[1]).toEqual(["d/größe", "0", 700, 0o644, 0o10000000, 1_700_000_000.12, "", 0, 0]);
    expect(seen[3]?.[6]).toBe("t".repeat(150));
    expect(seen[5]?.slice(7)).toEqual([1, 3]);
  });
});

describe("archives of other tools", () => {
  const tree = join(scratch, "tree");
  mkdirSync(join(tree, "sub"), { recursive: true });
  writeFileSync(join(tree, "a"), "hello");
  writeFileSync(join(tree, "sub", "l".repeat(200)), "x".repeat(1000));
  writeFileSync(join(tree, "größe"), "");
  chmodSync(join(tree, "a"), 0o4755);
  utimesSync(join(tree, "a"), 1_600_000_000.25, 1_600_000_000.25);
  linkSync(join(tree, "a"), join(tree, "b"));
  symlinkSync("t".repeat(180), join(tree, "sym"));

  test.each([
    ["GNU tar, PAX", ["tar", "--format=pax", "--numeric-owner", "-cf"]],
    ["GNU tar, GNU", ["tar", "--format=gnu", "-cf"]],
    ["bsdtar, PAX", ["bsdtar", "--format=pax", "-cf"]],
    ["bsdtar, GNU", ["bsdtar", "--format=gnutar", "-cf"]],
    [
      "Python",
      [
        "python3",
        "-c",
        "import sys, tarfile; t = tarfile.open(sys.argv[1], 'w', format=tarfile.PAX_FORMAT); t.add('.'); t.close()",
      ],
    ],
  ])("TarReader reads a tree packed by %s", (name, [command, ...args]) => {
    const path = join(scratch, "theirs.tar");
    execFileSync(command as string, [...args, path, ...(command === "python3" ? [] : ["."])], {
      cwd: tree,
      env: { ...process.env, LC_ALL: "C.UTF-8" },
    });
    const bytes = readFileSync(path);
    const items = readItems(bytes);
    const find = (path: string): TarItem | undefined =>
      items.find(({ entry }) => entry.path.replace(/^\.\//, "") === byteString(path));
    const [a, b] = [find("a"), find("b")].sort((x) => (x?.entry.kind === "file" ? -1 : 1)) as [TarItem, TarItem];
    expect(a.entry).toMatchObject({ kind: "file", size: 5, mode: 0o4755, mtimeSec: 1_600_000_000n });
    if (/PAX|Python/.test(name)) expect(a.entry.mtimeNsec).toBe(250_000_000);
    expect(bytes.toString("latin1", a.offset, a.offset + 5)).toBe("hello");
    expect(b.entry).toMatchObject({ kind: "hardlink" });
    expect(find(`sub/${"l".repeat(200)}`)?.entry).toMatchObject({ size: 1000 });
    expect(find("größe")?.entry).toMatchObject({ kind: "file", size: 0 });
    expect(find("sym")?.entry).toMatchObject({ kind: "symlink", target: "t".repeat(180) });
  });

  test.each([["gnu"], ["posix"]])("TarReader refuses a sparse file packed by GNU tar, format %s", (format) => {
    const sparse = join(scratch, "sparse");
    writeFileSync(sparse, "start");
    truncateSync(sparse, 1 << 20);
    const path = join(scratch, "sparse.tar");
    execFileSync("tar", [`--format=${format}`, "--sparse", "-cf", path, "sparse"], { cwd: scratch });
    expect(codeOf(() => readItems(readFileSync(path)))).toBe("tar.sparse.unsupported");
  });

  test.each(["basic", "hardlinks", "mtimes", "paths", "types", "layers"])(
    "TarReader reads the fixture %s as Python does",
    (name) => {
      const path = vector(`composefs/oci/${name}.layer0.tar`);
      const python = `
import tarfile, json, sys
t = tarfile.open(sys.argv[1], encoding='latin1')
print(json.dumps([['0' if m.isreg() else m.type.decode(), m.uid, m.gid, m.mode & 0o7777, m.offset_data if m.isreg() else 0, m.size, m.linkname.rstrip('/')] for m in t]))`;
      const theirs = JSON.parse(execFileSync("python3", ["-c", python, path], { encoding: "utf8" })) as unknown[];
      const types = { file: "0", hardlink: "1", symlink: "2", char: "3", block: "4", directory: "5", fifo: "6" };
      const ours = readItems(readFileSync(path)).map(({ entry, offset }) => [
        types[entry.kind],
        entry.uid,
        entry.gid,
        entry.mode,
        entry.kind === "file" ? offset : 0,
        entry.kind === "file" ? entry.size : 0,
        "target" in entry ? entry.target.replace(/\/+$/, "") : "",
      ]);
      expect(ours).toEqual(theirs);
    },
  );
});

test("parsePax() is the inverse of encodePax()", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      fc.bigInt({ min: 0n, max: 2n ** 62n }),
      fc.nat(999_999_999),
      (bytes, sec, nsec) => {
        const path = bytesToByteString(bytes);
        const values = parsePax(
          encodePax([
            ["path", path],
            ["mtime", paxTime(sec, nsec)],
          ]),
          0,
        );
        expect(values.path).toBe(path);
        expect([BigInt(values.mtimeSec ?? -1), values.mtimeNsec]).toEqual([sec, nsec]);
      },
    ),
    { numRuns: 200 },
  );
});

test("tarPadding() fills up to the next block", () => {
  for (const size of [0, 1, 511, 512, 513]) expect(size + tarPadding(size).length).toBe(alignUp(size, 512));
});
