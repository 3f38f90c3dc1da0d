import { hash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { codeOf } from "../../../test/code-of.ts";
import { makeRpmdb, queryRpmdb, rpmVercmp } from "../../../test/tools/rpm.ts";
import { FormatError, SealwrightError } from "../../lib/errors.ts";
import {
  compareRpmVersions,
  parseRpmdb,
  parseRpmFileList,
  parseRpmFileLists,
  parseRpmHeader,
  readNdbBlobs,
  readSqliteTable,
  showRpmVersion,
} from "./index.ts";

let directory: string;
let database: Uint8Array;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "rpmdb-"));
  const path = makeRpmdb(directory, [
    { name: "plain", version: "1.0" },
    { name: "epoch", version: "2.10~rc1", release: "3.fc43", epoch: 4 },
    { name: "long", version: "1.2.3", description: "Some words. ".repeat(3000) },
  ]);
  database = readFileSync(path);
});

afterAll(() => rmSync(directory, { recursive: true }));

test("parseRpmdb() lists a database of rpm's own as rpm does", () => {
  const found = parseRpmdb(database).map(
    (one) => `${one.name} ${showRpmVersion(one)} ${one.architecture} ${one.installedSize}`,
  );
  const said = queryRpmdb(directory, "%{NAME} %|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE} %{ARCH} %{SIZE}");
  expect(found.toSorted()).toEqual(said.toSorted());
  expect(found).toContain("epoch 4:2.10~rc1-3.fc43 noarch 0");
});

test.each([512, 4096, 65536])("readSqliteTable() reads what SQLite wrote in pages of %i bytes", (pageSize) => {
  const path = join(directory, `table-${pageSize}.sqlite`);
  {
    using db = new DatabaseSync(path);
    db.exec(
      `PRAGMA page_size = ${pageSize}; CREATE TABLE other (x); CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob, n)`,
    );
    const insert = db.prepare("INSERT INTO Packages VALUES (?, ?, ?)");
    const numbers = [
      null,
      0n,
      1n,
      -1n,
      127n,
      -129n,
      40_000n,
      -9_000_000n,
      2n ** 31n,
      2n ** 40n,
      -(2n ** 60n),
      1.5,
      "text",
      "ünï",
    ];
    db.exec("BEGIN");
    for (let index = 1; index <= 700; index++) {
      insert.run(
        index * 3,
        Buffer.alloc((index * 97) % (3 * pageSize), index),
        numbers[index % numbers.length] ?? null,
      );
    }
    db.exec("COMMIT");
  }
  const rows = readSqliteTable(readFileSync(path), "Packages");
  using db = new DatabaseSync(path, { readOnly: true });
  const query = db.prepare("SELECT hnum, blob, n FROM Packages ORDER BY hnum");
  query.setReadBigInts(true);
  const plain = (value: unknown) => (typeof value === "number" && Number.isInteger(value) ? BigInt(value) : value);
  const bytes = (value: unknown) => (value instanceof Uint8Array ? hash("sha1", value) : value);
  expect(rows.map(({ rowid, values }) => [rowid, bytes(values[1]), plain(values[2])])).toEqual(
    query.all().map(({ blob, hnum, n }) => [hnum, bytes(blob), n]),
  );
});

/** A `Packages.db` with these blobs, laid out by the rules of rpmpkg.c; checksums are left zero. */
function ndbOf(blobs: readonly Uint8Array[]): Buffer {
  const page = Buffer.alloc(4096);
  page.write("RpmP", 0);
  page.writeUInt32LE(1, 12);
  for (let at = 32; at < page.length; at += 16) page.write("Slot", at);
  const parts = [page];
  let block = page.length / 16;
  for (const [index, blob] of blobs.entries()) {
    const blocks = Math.ceil((16 + blob.length + 12) / 16);
    const stored = Buffer.alloc(blocks * 16);
    stored.write("BlbS", 0);
    stored.writeUInt32LE(index + 1, 4);
    stored.writeUInt32LE(blob.length, 12);
    stored.set(blob, 16);
    stored.write("BlbE", stored.length - 4);
    // One slot in two is free.
    const slot = 32 + index * 32;
    page.writeUInt32LE(index + 1, slot + 4);
    page.writeUInt32LE(block, slot + 8);
    page.writeUInt32LE(blocks, slot + 12);
    parts.push(stored);
    block += blocks;
  }
  return Buffer.concat(parts);
}

const realBlobs = () => readSqliteTable(database, "Packages").map(({ values }) => values[1] as Uint8Array);

test("parseRpmdb() reads the same packages from an ndb", () => {
  expect(parseRpmdb(ndbOf(realBlobs()))).toEqual(parseRpmdb(database));
});

const withField = (bytes: Uint8Array, offset: number, value: number): Buffer => {
  const changed = Buffer.from(bytes);
  changed.writeUInt32LE(value, offset);
  return changed;
};

test.each<[string, (ndb: Buffer) => Uint8Array, string]>([
  ["another version", (ndb) => withField(ndb, 4, 1), "rpmdb.ndb.header"],
  ["more slot pages than bytes", (ndb) => withField(ndb, 12, 0xffff_ffff), "rpmdb.ndb.header"],
  ["a slot without magic", (ndb) => withField(ndb, 48, 0), "rpmdb.ndb.slot"],
  ["a blob outside the file", (ndb) => withField(ndb, 40, 0xffff_fff0), "rpmdb.ndb.slot"],
  ["a blob among the slots", (ndb) => withField(ndb, 40, 1), "rpmdb.ndb.slot"],
  ["a blob of another package", (ndb) => withField(ndb, 36, 77), "rpmdb.ndb.blob"],
  ["a blob longer than its blocks", (ndb) => withField(ndb, 4096 + 12, 0x7fff_ffff), "rpmdb.ndb.blob"],
])("readNdbBlobs() refuses %s", (_, change, code) => {
  expect(codeOf(() => readNdbBlobs(change(ndbOf(realBlobs()))))).toBe(code);
});

test.each([
  ["nothing", new Uint8Array(0), "rpmdb.unknown"],
  ["Berkeley DB", Buffer.from(`${"00".repeat(12)}61150600${"00".repeat(16)}`, "hex"), "rpmdb.berkeley-db"],
  ["a cut SQLite header", Buffer.from("SQLite format 3\0"), "rpmdb.sqlite.header"],
])("parseRpmdb() refuses %s", (_, bytes, code) => {
  expect(codeOf(() => parseRpmdb(bytes))).toBe(code);
});

test.each<[string, (bytes: Buffer) => void, string]>([
  ["a page that leads back to itself", (bytes) => setInterior(bytes, 2, [2], 2), "rpmdb.sqlite.page-twice"],
  ["a page outside the file", (bytes) => setInterior(bytes, 2, [], 9_999), "rpmdb.sqlite.page-number"],
  ["a page of another kind", (bytes) => bytes.writeUInt8(2, 4096), "rpmdb.sqlite.page-type"],
  ["more cells than fit", (bytes) => bytes.writeUInt16BE(4000, 4096 + 3), "rpmdb.sqlite.page-cells"],
  ["cells on top of each other", overlapCells, "rpmdb.sqlite.cells-overlap"],
  ["UTF-16", (bytes) => bytes.writeUInt32BE(2, 56), "rpmdb.sqlite.header"],
])("readSqliteTable() refuses %s", (_, change, code) => {
  const path = join(directory, `hostile-${code}.sqlite`);
  {
    using db = new DatabaseSync(path);
    db.exec("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob); INSERT INTO Packages VALUES (1, zeroblob(100))");
  }
  const bytes = readFileSync(path);
  change(bytes);
  expect(codeOf(() => readSqliteTable(bytes, "Packages"))).toBe(code);
});

function setInterior(bytes: Buffer, page: number, children: readonly number[], right: number): void {
  const at = (page - 1) * 4096;
  bytes.writeUInt8(5, at);
  bytes.writeUInt16BE(children.length, at + 3);
  bytes.writeUInt32BE(right, at + 8);
  for (const [index, child] of children.entries()) {
    bytes.writeUInt16BE(100 + index * 8, at + 12 + index * 2);
    bytes.writeUInt32BE(child, at + 100 + index * 8);
  }
}

function overlapCells(bytes: Buffer): void {
  const cell = bytes.readUInt16BE(4096 + 8);
  bytes.writeUInt16BE(200, 4096 + 3);
  for (let index = 0; index < 200; index++) bytes.writeUInt16BE(cell, 4096 + 8 + index * 2);
}

test.each([
  ["00000001 00000000", "rpmdb.header.truncated"],
  ["00010000 00000000", "rpmdb.header.counts"],
  ["00000000 00000000", "rpmdb.header.tag-missing"],
  // NAME as a number; NAME whose string does not end; NAME behind the data
  ["00000001 00000004 000003e8 00000004 00000000 00000001 61626300", "rpmdb.header.tag"],
  ["00000001 00000004 000003e8 00000006 00000000 00000001 61626364", "rpmdb.header.tag"],
  ["00000001 00000004 000003e8 00000006 00000900 00000001 61626300", "rpmdb.header.tag"],
])("parseRpmHeader(%s) refuses: %s", (hex, code) => {
  expect(codeOf(() => parseRpmHeader(Buffer.from(hex.replaceAll(" ", ""), "hex")))).toBe(code);
});

test.each(["sqlite", "ndb"])("parseRpmdb() answers any change of an %s database with packages or a refusal", (kind) => {
  const bytes = kind === "ndb" ? ndbOf(realBlobs()) : database;
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 20 }),
      (changes) => {
        const changed = Buffer.from(bytes);
        // Half of them where the structure is, not the text.
        for (const [index, [at, byte]] of changes.entries()) changed[index % 2 === 0 ? at : at % 8192] = byte;
        try {
          parseRpmdb(changed);
        } catch (error) {
          expect(error).toBeInstanceOf(SealwrightError);
        }
      },
    ),
    { numRuns: 300 },
  );
});

test("parseRpmdb() answers every cut of a database with packages or a FormatError", () => {
  for (let end = 0; end < database.length; end += 1021) {
    try {
      parseRpmdb(database.subarray(0, end));
    } catch (error) {
      expect(error).toBeInstanceOf(FormatError);
    }
  }
});

test.each([
  ["1.0~rc1", "1.0"],
  ["1.0", "1.0^git1"],
  ["1.0^git1", "1.0.1"],
  ["1.0^20240501", "1.0^20240502"],
  ["1.0~rc1", "1.0~rc1^git1"],
  ["a", "1"],
  ["1.9", "1.10"],
  ["1.0", "1.0a"],
  ["1:1.0-1", "2:0.1-1"],
  ["9.0-1", "1:0.1-1"],
  ["1.0-1.fc42", "1.0-1.fc43"],
])("compareRpmVersions(%j, %j): the first is older", (older, newer) => {
  expect(compareRpmVersions(older, newer)).toBeLessThan(0);
  expect(compareRpmVersions(newer, older)).toBeGreaterThan(0);
});

test.each([
  ["1.0", "1_0"],
  ["1.05", "1.5"],
  ["0:1.0-1", "1.0-1"],
])("compareRpmVersions(%j, %j): equal", (a, b) => {
  expect(compareRpmVersions(a, b)).toBe(0);
});

const part = fc
  .array(fc.constantFrom("0", "1", "01", "10", "9", "a", "b", "Z", "rc", "~", "^", ".", "_", "+"), {
    minLength: 1,
    maxLength: 6,
  })
  .map((pieces) => pieces.join(""));

test("compareRpmVersions() agrees with rpm on 1000 random pairs", () => {
  const pairs = fc.sample(fc.tuple(part, part), { numRuns: 1000, seed: 7 });
  const said = pairs.map(([a, b]) => ({ a, b, order: Math.sign(compareRpmVersions(a, b)) }));
  const judged = rpmVercmp(pairs);
  expect(said).toEqual(pairs.map(([a, b], index) => ({ a, b, order: judged[index] })));
});

/** A header blob with these tags. */
function headerOf(tags: readonly (readonly [tag: number, type: number, count: number, data: Uint8Array])[]): Buffer {
  const index = Buffer.alloc(16 * tags.length);
  let size = 0;
  for (const [at, [tag, type, count, data]] of tags.entries()) {
    for (const [field, value] of [tag, type, size, count].entries()) index.writeUInt32BE(value, 16 * at + 4 * field);
    size += data.length;
  }
  const head = Buffer.alloc(8);
  head.writeUInt32BE(tags.length, 0);
  head.writeUInt32BE(size, 4);
  return Buffer.concat([head, index, ...tags.map(([, , , data]) => data)]);
}

const strings = (tag: number, values: readonly string[]) =>
  [tag, 8, values.length, Buffer.from(values.map((value) => `${value}\0`).join(""))] as const;
const numbers = (tag: number, values: readonly number[]) => {
  const data = Buffer.alloc(4 * values.length);
  for (const [at, value] of values.entries()) data.writeUInt32BE(value, 4 * at);
  return [tag, 4, values.length, data] as const;
};
const name = [1000, 6, 1, Buffer.from("bash\0")] as const;
const source = (text: string) => [1044, 6, 1, Buffer.from(`${text}\0`)] as const;

test.each([
  ["bash-5.2.37-1.fc42.src.rpm", "bash"],
  ["python3-foo-1.0~rc1-3.src.rpm", "python3-foo"],
  ["", "bash"],
])("parseRpmFileList() takes the source from %j", (text, expected) => {
  expect(parseRpmFileList(headerOf([name, source(text)]))).toEqual({ name: "bash", source: expected, paths: [] });
});

test("parseRpmFileList() joins directories and names", () => {
  const header = headerOf([
    name,
    numbers(1116, [1, 0, 1]),
    strings(1117, ["bash", "bashrc", "sh"]),
    strings(1118, ["/etc/", "/usr/bin/"]),
  ]);
  expect(parseRpmFileList(header).paths).toEqual(["/usr/bin/bash", "/etc/bashrc", "/usr/bin/sh"]);
});

test("parseRpmFileLists() lists the files of packages as rpm does", () => {
  const place = mkdtempSync(join(tmpdir(), "rpmdb-files-"));
  try {
    const files = ["/usr/bin/one", "/usr/share/one/data", "/etc/one.conf"];
    const path = makeRpmdb(place, [
      { name: "one", version: "1", files: [...files, "%ghost /var/lib/one.db", "%config /etc/two.conf"] },
      { name: "none", version: "1" },
    ]);
    const found = parseRpmFileLists(readFileSync(path)).flatMap((one) =>
      one.paths.map((file) => `${one.name} ${file}`),
    );
    const said = queryRpmdb(place, "[%{=NAME} %{FILENAMES} %{FILEFLAGS:fflags}\n]").filter((line) => line !== "");
    expect(said).toHaveLength(5);
    const brought = said.filter((line) => !line.endsWith(" g")).map((line) => line.replace(/ c?$/, ""));
    expect(found.toSorted()).toEqual(brought.toSorted());
  } finally {
    rmSync(place, { recursive: true });
  }
});

test.each([
  [
    "fewer directories than names",
    [numbers(1116, [0]), strings(1117, ["a", "b"]), strings(1118, ["/"])],
    "rpmdb.header.files",
  ],
  [
    "a directory that is not there",
    [numbers(1116, [1]), strings(1117, ["a"]), strings(1118, ["/"])],
    "rpmdb.header.files",
  ],
  [
    "a path of 5000 bytes",
    [numbers(1116, [0]), strings(1117, ["a"]), strings(1118, ["/".repeat(5000)])],
    "rpmdb.header.files",
  ],
  ["names that do not end", [[1117, 8, 3, Buffer.from("a\0b")] as const], "rpmdb.header.tag"],
  ["names that are numbers", [numbers(1117, [1])], "rpmdb.header.tag"],
  ["indexes that are names", [strings(1116, ["a"])], "rpmdb.header.tag"],
  ["more indexes than data", [[1116, 4, 0xffff_ffff, Buffer.alloc(8)] as const], "rpmdb.header.truncated"],
  ["no name", [], "rpmdb.header.tag-missing"],
] as const)("parseRpmFileList() refuses %s", (what, tags, code) => {
  expect(codeOf(() => parseRpmFileList(headerOf(what === "no name" ? [] : [name, ...tags])))).toBe(code);
});

test("parseRpmFileList() answers any change of a header with a list or a FormatError", () => {
  const header = headerOf([name, numbers(1116, [0, 0]), strings(1117, ["a", "b"]), strings(1118, ["/usr/bin/"])]);
  fc.assert(
    fc.property(fc.nat(header.length - 1), fc.nat(255), (at, value) => {
      const changed = Buffer.from(header);
      changed[at] = value;
      try {
        parseRpmFileList(changed);
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
      }
    }),
    { numRuns: 500 },
  );
});
