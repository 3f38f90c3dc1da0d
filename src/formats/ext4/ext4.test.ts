import * as fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { codeOf } from "../../../test/code-of.ts";
import { fromHex } from "../../../test/hex.ts";
import { type ByteSource, memorySource } from "../../lib/bytes/byte-source.ts";
import { type ByteString, byteString, bytesToByteString } from "../../lib/bytes/byte-string.ts";
import { CRC32C_START, crc32c } from "../../lib/bytes/crc32c.ts";
import { isBytesPiece, type Piece } from "../../lib/bytes/piece.ts";
import {
  type Ext4Directory,
  type Ext4Metadata,
  type Ext4Node,
  type Ext4Options,
  type Ext4Volume,
  encodeVerityMetadata,
  findInode,
  openExt4,
  planExt4,
  readDirectory,
  readExt4Tree,
  readFile,
  readFileRanges,
  readInode,
  readLinkTarget,
  readVerityMetadata,
  verityMetadataSize,
} from "./index.ts";
import { hashName } from "./name-hash.ts";

type Node = Ext4Node<Uint8Array>;

const meta: Ext4Metadata = {
  mode: 0o755,
  uid: 1000,
  gid: 70_000,
  mtimeSec: 1_700_000_000n,
  mtimeNsec: 123_456_789,
  xattrs: new Map(),
};
const options: Ext4Options = {
  uuid: fromHex("6a921af4 a24c 489d a5e9 2b7158ad7e9f"),
  hashSeed: fromHex("01234567 89ab cdef 0123 456789abcdef"),
  time: { sec: 1_700_000_000n, nsec: 0 },
  label: "root",
};

const file = (bytes: Uint8Array, xattrs: Readonly<Record<string, string>> = {}): Node => ({
  kind: "file",
  meta: { ...meta, xattrs: new Map(Object.entries(xattrs) as [ByteString, ByteString][]) },
  size: bytes.length,
  content: bytes,
});
const directory = (entries: Readonly<Record<string, Node>>): Ext4Directory<Uint8Array> => ({
  kind: "directory",
  meta,
  entries: new Map(Object.entries(entries).map(([name, node]) => [byteString(name), node])),
});
const pattern = (size: number): Uint8Array => Buffer.alloc(size, "sealwright ");

/** An image in memory, or of declared size with only its pieces. */
function image(root: Ext4Directory<Uint8Array>, change: Partial<Ext4Options> = {}): Uint8Array {
  const plan = planExt4(root, { ...options, ...change });
  const bytes = new Uint8Array(plan.size);
  let end = 0;
  for (const piece of plan.pieces()) {
    expect(piece.offset).toBeGreaterThanOrEqual(end);
    const part = bytesOf(piece);
    bytes.set(part, piece.offset);
    end = piece.offset + part.length;
  }
  return bytes;
}

const bytesOf = (piece: Piece<Uint8Array>): Uint8Array =>
  isBytesPiece(piece) ? piece.bytes : piece.content.subarray(piece.from, piece.from + piece.size);

const openImage = (bytes: Uint8Array): Ext4Volume => openExt4(memorySource(bytes));

const at = (volume: Ext4Volume, path: string): NonNullable<ReturnType<typeof findInode>> => {
  const inode = findInode(volume, byteString(path));
  if (inode === undefined) throw new Error(`${path} is absent`);
  return inode;
};
const contents = (volume: Ext4Volume, path: string): Uint8Array =>
  Buffer.concat([...readFile(volume, at(volume, path))]);

const merkleTree = pattern(8192);
const descriptor = pattern(256);
const verity = { metadata: encodeVerityMetadata(merkleTree, descriptor), metadataSize: verityMetadataSize(8192) };
const shared = file(pattern(10));
const overlapping = [
  { offset: 0, size: 8192 },
  { offset: 4096, size: 4096 },
];
const manyNames = Object.fromEntries(Array.from({ length: 400 }, (_, i) => [`${i}-${"n".repeat(i % 200)}`, shared]));
const tree = directory({
  empty: file(new Uint8Array(0)),
  small: file(pattern(100), { "security.selinux": "system_u:object_r:usr_t:s0\0" }),
  large: file(pattern(300_001), {
    "user.long": "v".repeat(900),
    "trusted.a": "",
    "security.capability": "\x01\0\0\x02",
  }),
  verity: { kind: "file", meta, size: 200_000, content: pattern(200_000), verity },
  dir: directory({ again: shared, fast: { kind: "symlink", meta, target: byteString("../small") } }),
  many: directory(manyNames),
  slow: { kind: "symlink", meta, target: byteString("t".repeat(100)) },
  console: { kind: "char", meta, rdev: 0x0501 },
  disk: { kind: "block", meta, rdev: 0x1234_5678 },
  fifo: { kind: "fifo", meta },
  socket: { kind: "socket", meta },
});

describe("a written file system", () => {
  let volume: Ext4Volume;
  beforeAll(() => void (volume = openImage(image(tree))));

  test("says who it is", () => {
    expect(volume).toMatchObject({ label: "root", blockSize: 4096, hasVerity: true, inodeSize: 256 });
    expect(Buffer.from(volume.uuid).equals(options.uuid)).toBe(true);
  });

  test("lists its root with lost+found", () => {
    const names = readDirectory(volume, readInode(volume, 2)).map(({ name }) => name);
    expect(names).toEqual([...tree.entries.keys(), byteString("lost+found")].sort());
  });

  test.each(["empty", "small", "large", "verity"])("gives back the contents of %s", (name) => {
    const node = tree.entries.get(byteString(name));
    expect(node?.kind === "file" && Buffer.from(node.content).equals(contents(volume, name))).toBe(true);
  });

  test("keeps owner, mode, time and extended attributes", () => {
    const inode = at(volume, "large");
    expect(inode).toMatchObject({ mode: 0o755, uid: 1000, gid: 70_000, links: 1 });
    expect(inode.modified).toEqual({ sec: 1_700_000_000n, nsec: 123_456_789 });
    expect(inode.xattrs).toEqual(tree.entries.get(byteString("large"))?.meta.xattrs);
    expect(at(volume, "small").xattrs.get(byteString("security.selinux"))).toBe("system_u:object_r:usr_t:s0\0");
  });

  test("finds every name of an indexed directory, all one inode", () => {
    const entries = readDirectory(volume, at(volume, "many"));
    expect(entries.map(({ name }) => name).sort()).toEqual(Object.keys(manyNames).sort());
    expect(new Set(entries.map(({ ino }) => ino))).toEqual(new Set([at(volume, "dir/again").ino]));
    expect(at(volume, "dir/again").links).toBe(401);
  });

  test("keeps links and devices", () => {
    expect(readLinkTarget(volume, at(volume, "dir/fast"))).toBe("../small");
    expect(readLinkTarget(volume, at(volume, "slow"))).toBe("t".repeat(100));
    expect(at(volume, "console")).toMatchObject({ kind: "char", rdev: 0x0501 });
    expect(at(volume, "disk")).toMatchObject({ kind: "block", rdev: 0x1234_5678 });
    expect([at(volume, "fifo").kind, at(volume, "socket").kind]).toEqual(["fifo", "socket"]);
  });

  test("has fs-verity metadata at the next 64 KiB behind the data", () => {
    const inode = at(volume, "verity");
    const found = readVerityMetadata(volume, inode);
    expect(found).toMatchObject({ treeOffset: 262_144, treeSize: 8192 });
    expect(Buffer.from(found.descriptor).equals(descriptor)).toBe(true);
    expect(Buffer.concat([...readFile(volume, inode, 262_144, 8192)]).equals(merkleTree)).toBe(true);
    const last = Buffer.concat([...readFile(volume, inode, 270_336, 4096)]);
    expect(last.readUInt32LE(4092)).toBe(256);
    expect(codeOf(() => readVerityMetadata(volume, at(volume, "large")))).toBe("ext4.verity.missing");
  });
});

test("planExt4() gives equal bytes for equal input, whatever the order of the entries", () => {
  const reversed = { ...tree, entries: new Map([...tree.entries].reverse()) };
  expect(Buffer.compare(image(tree), image(reversed))).toBe(0);
});

test("planExt4() finds a size that holds, and not a block less", () => {
  const { size, freeSize } = planExt4(tree, options);
  expect(freeSize).toBe(0);
  const journalSize = planExt4(tree, options).journalSize;
  expect(planExt4(tree, { ...options, size, journalSize }).size).toBe(size);
  expect(codeOf(() => planExt4(tree, { ...options, size: size - 4096, journalSize }))).toBe("ext4.too-small");
});

test("planExt4() leaves the free size that was asked for", () => {
  const plan = planExt4(tree, { ...options, freeSize: 500 << 20 });
  expect(plan.freeSize).toBeGreaterThanOrEqual(500 << 20);
  expect(plan.freeInodes).toBeGreaterThanOrEqual((500 << 20) / 16_384);
});

test("planExt4() spreads a file of 200 GiB over an extent tree, and the reader finds its way", () => {
  const size = 200 * 2 ** 30;
  const root = { kind: "directory", meta, entries: new Map([[byteString("big"), bigFile(size)]]) } as const;
  const plan = planExt4(root, options);
  const kept = new Map<number, Uint8Array>();
  let contentSize = 0;
  for (const piece of plan.pieces()) {
    if (isBytesPiece(piece)) for (const [key, bytes] of pages(piece.offset, piece.bytes)) kept.set(key, bytes);
    else contentSize += piece.size;
  }
  expect(contentSize).toBe(size);
  const volume = openExt4(pagedSource(plan.size, kept));
  const inode = at(volume, "big");
  expect(inode.size).toBe(size);
  const ranges = readFileRanges(volume, inode);
  expect(ranges.length).toBeGreaterThan(340 * 4);
  expect(ranges.reduce((sum, range) => sum + range.size, 0)).toBe(size);
});

const bigFile = (size: number): Ext4Node<string> => ({ kind: "file", meta, size, content: "big" });

function pages(offset: number, bytes: Uint8Array): [number, Uint8Array][] {
  return Array.from({ length: Math.ceil(bytes.length / 4096) }, (_, i) => {
    const page = new Uint8Array(4096);
    page.set(bytes.subarray(i * 4096, (i + 1) * 4096));
    return [offset + i * 4096, page];
  });
}

function pagedSource(size: number, kept: ReadonlyMap<number, Uint8Array>): ByteSource {
  const page = (offset: number): Uint8Array => kept.get(offset - (offset % 4096)) ?? new Uint8Array(4096);
  return { size, read: (offset, length) => page(offset).subarray(offset % 4096, (offset % 4096) + length) };
}

test.each<[string, Ext4Directory<Uint8Array>, Partial<Ext4Options>, string]>([
  ["a size without room for the contents", tree, { size: 1 << 19 }, "ext4.too-small"],
  ["a size without room for itself", tree, { size: 4096 }, "ext4.too-small"],
  ["fewer inodes than files", tree, { size: 64 << 20, inodeCount: 16 }, "ext4.too-few-inodes"],
  ["more than 16 TiB", tree, { size: 2 ** 45 }, "ext4.too-large"],
  ["a label of 17 bytes", tree, { label: "ä".repeat(8) + "x" }, "ext4.label"],
  ["a journal below 4 MiB", tree, { journalSize: 4096 }, "ext4.journal-size"],
  ["a name with a slash", directory({ "a/b": shared }), {}, "ext4.name"],
  ["a name of 256 bytes", directory({ ["n".repeat(256)]: shared }), {}, "ext4.name"],
  ["the name ..", directory({ "..": shared }), {}, "ext4.name"],
  ["a lost+found of its own", directory({ "lost+found": shared }), {}, "ext4.name-reserved"],
  ["an empty link", directory({ l: { kind: "symlink", meta, target: byteString("") } }), {}, "ext4.symlink"],
  [
    "a link of 4096 bytes",
    directory({ l: { kind: "symlink", meta, target: byteString("t".repeat(4096)) } }),
    {},
    "ext4.symlink",
  ],
  ["an attribute of no known kind", directory({ f: file(pattern(1), { "os2.a": "" }) }), {}, "ext4.xattr-name"],
  ["an attribute without a name", directory({ f: file(pattern(1), { "user.": "" }) }), {}, "ext4.xattr-name"],
  [
    "attributes beyond one block",
    directory({ f: file(pattern(1), { "user.a": "v".repeat(4100) }) }),
    {},
    "ext4.xattrs-too-large",
  ],
  ["an ACL that is none", directory({ f: file(pattern(1), { "system.posix_acl_access": "acl" }) }), {}, "ext4.acl"],
  [
    "a time before 1901",
    directory({ f: { kind: "fifo", meta: { ...meta, mtimeSec: -(2n ** 31n) - 1n } } }),
    {},
    "ext4.time",
  ],
  [
    "fs-verity metadata of half a block",
    directory({ f: { kind: "file", meta, size: 1, content: pattern(1), verity: { ...verity, metadataSize: 2048 } } }),
    {},
    "ext4.verity",
  ],
  [
    "ranges that overlap",
    directory({ f: { kind: "file", meta, size: 9000, content: pattern(9000), ranges: overlapping } }),
    {},
    "ext4.content-ranges",
  ],
  [
    "ranges behind the end",
    directory({ f: { kind: "file", meta, size: 1, content: pattern(1), ranges: [{ offset: 4096, size: 1 }] } }),
    {},
    "ext4.content-ranges",
  ],
])("planExt4() refuses %s", (_, root, change, code) => {
  expect(codeOf(() => [...planExt4(root, { ...options, ...change }).pieces()])).toBe(code);
});

test("planExt4() names the file that it refuses", () => {
  const bad = file(pattern(1), { "os2.a": "" });
  const refused = (): unknown => planExt4(directory({ a: directory({ b: shared, c: bad }) }), options);
  expect(refused).toThrow(/^\/a\/c: ext4 extended attribute name: found/);
  expect(() => planExt4(directory({ a: directory({ "x/y": shared }) }), options)).toThrow(
    /^\/a: ext4 file name: found/,
  );
});

describe("readExt4Tree()", () => {
  /** Writes the tree of a volume anew. */
  const rewritten = (volume: Ext4Volume): Uint8Array => {
    const source = readExt4Tree(volume, (ino, offset) => ({ ino, offset }));
    const plan = planExt4(source, { ...options, size: volume.blockCount * volume.blockSize });
    const bytes = new Uint8Array(plan.size);
    for (const piece of plan.pieces()) {
      if (isBytesPiece(piece)) bytes.set(piece.bytes, piece.offset);
      else {
        const { content, from, offset, size } = piece;
        const inode = readInode(volume, content.ino);
        bytes.set(Buffer.concat([...readFile(volume, inode, content.offset + from, size)]), offset);
      }
    }
    return bytes;
  };

  test("gives a tree that is written as the same bytes again", () => {
    const bytes = image(tree);
    expect(Buffer.from(bytes).equals(rewritten(openImage(bytes)))).toBe(true);
  });

  test("keeps holes, links among files and what chattr has set", () => {
    const ranges = [
      { offset: 4096, size: 4096 },
      { offset: 40_960, size: 8192 },
    ];
    const sparse: Node = {
      kind: "file",
      meta: { ...meta, flags: 0x50 },
      size: 50_000,
      content: pattern(50_000),
      ranges,
    };
    const bytes = image(directory({ sparse, again: sparse, "lost+found": directory({ found: shared }) }));
    const volume = openImage(bytes);
    expect(readFileRanges(volume, at(volume, "sparse")).map(({ offset, size }) => ({ offset, size }))).toEqual(ranges);
    const { entries } = readExt4Tree(volume, () => undefined);
    expect(entries.get(byteString("sparse"))).toMatchObject({ size: 50_000, ranges, meta: { flags: 0x50 } });
    expect(entries.get(byteString("again"))).toBe(entries.get(byteString("sparse")));
    expect(at(volume, "lost+found/found")).toMatchObject({ kind: "file" });
    expect(Buffer.from(bytes).equals(rewritten(volume))).toBe(true);
  });
});

const aclEntry = (tag: number, permissions: number, id: number): number[] => [
  tag,
  0,
  permissions,
  0,
  id & 0xff,
  (id >> 8) & 0xff,
  (id >> 16) & 0xff,
  id >>> 24,
];

test("planExt4() keeps POSIX ACLs, which are stored in another form", () => {
  const acl = bytesToByteString(
    Uint8Array.from([
      2,
      0,
      0,
      0,
      ...aclEntry(1, 7, -1),
      ...aclEntry(2, 5, 1000),
      ...aclEntry(4, 5, -1),
      ...aclEntry(0x10, 5, -1),
      ...aclEntry(0x20, 0, -1),
    ]),
  );
  const volume = openImage(image(directory({ f: file(pattern(1), { "system.posix_acl_access": acl }) })));
  expect(at(volume, "f").xattrs.get(byteString("system.posix_acl_access"))).toBe(acl);
});

test.each([-(2n ** 31n), -1n, 0n, 2n ** 31n, 2n ** 32n - 1n, 3n * 2n ** 32n + 2n ** 31n - 1n])(
  "planExt4() keeps a time of %i seconds",
  (mtimeSec) => {
    const node: Node = { kind: "fifo", meta: { ...meta, mtimeSec } };
    expect(at(openImage(image(directory({ f: node }))), "f").modified.sec).toBe(mtimeSec);
  },
);

test.each([
  ["123456789", 0xe3069283],
  ["", 0],
  ["The quick brown fox jumps over the lazy dog", 0x22620404],
])("crc32c(%j) is the published value once it is inverted", (text, expected) => {
  expect(~crc32c(CRC32C_START, Buffer.from(text)) >>> 0).toBe(expected);
});

/** From `debugfs -R 'dx_hash -h half_md4 -s 01234567-89ab-cdef-0123-456789abcdef NAME'` of e2fsprogs 1.47.0, signed and so ASCII only. */
test.each([
  ["a", "0x35dc0cc4 (minor 0x3f1dacef)"],
  ["hello.txt", "0x42a85304 (minor 0xcb5c9f78)"],
  ["n".repeat(40), "0xb392daa0 (minor 0xeaa632d6)"],
])("hashName(%j) is what e2fsprogs computes", (name, expected) => {
  const { major, minor } = hashName(byteString(name), options.hashSeed);
  expect(`0x${major.toString(16)} (minor 0x${minor.toString(16)})`).toBe(expected);
});

const small = image(
  directory({
    a: file(pattern(5000), { "user.a": "v".repeat(300) }),
    l: { kind: "symlink", meta, target: byteString("a") },
  }),
  { size: 2 << 20 },
);
/** Reads everything there is, no deeper than 8 and no more than 100 inodes. */
function readAll(bytes: Uint8Array): void {
  const volume = openImage(bytes);
  const queue = [{ ino: 2, depth: 0 }];
  for (const { ino, depth } of queue) {
    const inode = readInode(volume, ino);
    if (inode.kind === "directory" && depth < 8) {
      for (const entry of readDirectory(volume, inode)) {
        if (queue.length < 100) queue.push({ ino: entry.ino, depth: depth + 1 });
      }
    } else if (inode.kind === "symlink") readLinkTarget(volume, inode);
    else if (inode.size < 1 << 20) for (const _ of readFile(volume, inode)) void _;
  }
}

const inodeTable = openImage(small).inodeTable(0) * 4096;
test.each<[string, (bytes: Buffer) => void, string]>([
  ["another magic", (b) => b.writeUInt16LE(0xef54, 1080), "ext4.superblock.magic"],
  ["a changed superblock", (b) => b.writeUInt8(1, 1024 + 0x200), "ext4.superblock.checksum"],
  ["a changed descriptor", (b) => b.writeUInt8(0xff, 4096 + 8), "ext4.descriptor.checksum"],
  ["a changed inode", (b) => b.writeUInt8(7, inodeTable + 256), "ext4.inode.checksum"],
])("the reader refuses %s", (_, change, code) => {
  const bytes = Buffer.from(small);
  change(bytes);
  expect(codeOf(() => readAll(bytes))).toBe(code);
});

test("the reader answers changed bytes with values or refusals, with and without checksums", () => {
  const interesting = fc.oneof(
    fc.integer({ min: 1024, max: 2047 }),
    fc.integer({ min: inodeTable + 256, max: inodeTable + 13 * 256 }),
    fc.integer({ min: 4096, max: 4160 }),
    fc.nat(small.length - 1),
  );
  const plain = Buffer.from(small);
  plain.writeUInt32LE(plain.readUInt32LE(1024 + 0x64) & ~0x400, 1024 + 0x64);
  const changes = fc.array(fc.tuple(interesting, fc.nat(255)), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(changes, fc.boolean(), (list, checksums) => {
      const bytes = Buffer.from(checksums ? small : plain);
      for (const [offset, value] of list) bytes[offset] = value;
      codeOf(() => readAll(bytes));
    }),
    { numRuns: 400 },
  );
});
