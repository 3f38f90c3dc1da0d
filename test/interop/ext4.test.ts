import { hash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type Ext4Directory,
  type Ext4File,
  type Ext4Metadata,
  type Ext4Node,
  type Ext4Options,
  encodeVerityMetadata,
  findInode,
  openExt4,
  planExt4,
  readDirectory,
  readFile,
  readFileRanges,
  readInode,
  readLinkTarget,
  readVerityMetadata,
  verityOffset,
} from "../../src/formats/ext4/index.ts";
import {
  buildMerkleTree,
  encodeDescriptor,
  hashBlocks,
  leavesSize,
  type VerityAlgorithm,
} from "../../src/formats/fsverity/index.ts";
import { type ByteString, byteString } from "../../src/lib/bytes/byte-string.ts";
import { toHex } from "../../src/lib/bytes/numbers.ts";
import { fromHex } from "../hex.ts";
import { fileSource, run, runApart, writeImage } from "../tools/disk.ts";

const MIB = 1 << 20;
const UUID = "6a921af4-a24c-489d-a5e9-2b7158ad7e9f";
const HASH_SEED = "01234567-89ab-4def-8123-456789abcdef";
const options: Ext4Options = {
  uuid: fromHex(UUID.replaceAll("-", "")),
  hashSeed: fromHex(HASH_SEED.replaceAll("-", "")),
  time: { sec: 1_700_000_000n, nsec: 0 },
  label: "root",
};
const meta: Ext4Metadata = {
  mode: 0o644,
  uid: 1000,
  gid: 70_000,
  mtimeSec: 1_600_000_000n,
  mtimeNsec: 123_456_789,
  xattrs: new Map(),
};

type Node = Ext4Node<Uint8Array>;
const xattrs = (values: Readonly<Record<string, string>>): Ext4Metadata => ({
  ...meta,
  xattrs: new Map(Object.entries(values) as [ByteString, ByteString][]),
});
const file = (bytes: Uint8Array, about = meta): Ext4File<Uint8Array> => ({
  kind: "file",
  meta: about,
  size: bytes.length,
  content: bytes,
});
const folder = (entries: Readonly<Record<string, Node>>): Ext4Directory<Uint8Array> => ({
  kind: "directory",
  meta: { ...meta, mode: 0o755 },
  entries: new Map(Object.entries(entries).map(([name, node]) => [byteString(name), node])),
});
const text = (size: number): Uint8Array => Buffer.alloc(size, "sealwright\n");

function verityFile(bytes: Uint8Array, algorithm: VerityAlgorithm = "sha512"): Ext4File<Uint8Array> {
  const leaves = new Uint8Array(leavesSize(bytes.length, algorithm));
  hashBlocks(bytes, algorithm, leaves, 0);
  const { rootHash, levels } = buildMerkleTree(leaves, algorithm);
  const descriptor = encodeDescriptor(bytes.length, rootHash, algorithm);
  const metadata = encodeVerityMetadata(Buffer.concat(levels), descriptor);
  return { ...file(bytes), verity: { metadata, metadataSize: metadata.length } };
}

/** VFS capability, version 2: cap_net_raw in the effective set. */
const CAPABILITY = "\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
const shared = file(text(20_000));
const names = (count: number, length: number): Readonly<Record<string, Node>> =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`${i}-`.padEnd(length, "ä"), shared]));
const tree = folder({
  usr: folder({
    bin: folder({ ping: file(text(70_000), xattrs({ "security.capability": CAPABILITY })), twin: shared }),
  }),
  labelled: file(text(10), xattrs({ "security.selinux": "system_u:object_r:usr_t:s0\0" })),
  attributes: file(
    text(10),
    xattrs({ "trusted.overlay.opaque": "y", "user.long": "v".repeat(3000), "user.empty": "" }),
  ),
  sealed: verityFile(text(300_000)),
  hundreds: folder(names(700, 100)),
  thousands: folder(names(20_000, 116)),
  fast: { kind: "symlink", meta, target: byteString("usr/bin") },
  slow: { kind: "symlink", meta, target: byteString(`${"x/".repeat(100)}end`) },
  console: { kind: "char", meta, rdev: 0x0501 },
  disk: { kind: "block", meta, rdev: 0x0010_0801 },
  fifo: { kind: "fifo", meta },
  socket: { kind: "socket", meta },
  empty: file(new Uint8Array(0)),
});

let directory: string;
beforeAll(() => void (directory = mkdtempSync(join(tmpdir(), "ext4-"))));
afterAll(() => rmSync(directory, { recursive: true }));

async function write(
  name: string,
  root: Ext4Directory<Uint8Array>,
  change: Partial<Ext4Options> = {},
): Promise<string> {
  const path = join(directory, name);
  const plan = planExt4(root, { ...options, ...change });
  await writeImage(path, plan.size, plan.pieces());
  return path;
}
const debugfs = (image: string, request: string): string => runApart("debugfs", ["-R", request, image]).stdout;
/** e2fsck ends with 0 only when there is nothing to say. */
const fsck = (image: string): string => run("e2fsck", ["-fn", image]);

test.each<[string, Ext4Directory<Uint8Array>, Partial<Ext4Options>]>([
  ["the smallest size", tree, {}],
  ["an empty tree", folder({}), {}],
  ["a hash seed of zeros", folder({ d: folder(names(300, 100)) }), { hashSeed: new Uint8Array(16) }],
  ["no journal", folder({}), { journalSize: 0, size: 16 * MIB }],
  ["one group and a rest that is dropped", tree, { size: 128 * MIB + 40_960 }],
  ["a rest that is kept", tree, { size: 132 * MIB }],
  ["four GiB", tree, { size: 4096 * MIB }],
  ["a second flexible group", tree, { size: 2200 * MIB }],
  ["20 GiB with free inodes", tree, { size: 20_480 * MIB, inodeCount: 3_000_000 }],
  ["the most inodes there can be", folder({}), { size: 4096 * MIB, inodeCount: 2 ** 30 }],
  ["200 GiB, whose journal has many extents", folder({}), { size: 200 * 2 ** 30, inodeCount: 100_000 }],
  ["free size and reserve", tree, { freeSize: 700 * MIB, reservedSize: 30 * MIB }],
])("e2fsck finds no fault in %s", async (_, root, change) => {
  const image = await write("fsck.img", root, change);
  expect(fsck(image)).not.toMatch(/fix|error|wrong|WARNING/i);
  rmSync(image);
});

const fields = (image: string): Map<string, string> =>
  new Map(
    run("dumpe2fs", ["-h", image])
      .split("\n")
      .map((line) => line.split(/: +/) as [string, string]),
  );

/** A tree that differs in everything that has a size, from small numbers that are always the same. */
function randomFolder(seed: number): Ext4Directory<Uint8Array> {
  let state = seed;
  const below = (limit: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
  const about = (): Ext4Metadata => ({
    ...meta,
    mode: below(0o10000),
    uid: below(2 ** 32),
    mtimeSec: BigInt(below(2 ** 33)) - 2n ** 31n,
    xattrs: new Map(
      Array.from({ length: below(5) }, (_, i) => [
        byteString(`${["user", "trusted"][i % 2]}.${"n".repeat(1 + below(30))}${i}`),
        byteString("v".repeat(below(2) * below(600))),
      ]),
    ),
  });
  const leaf = (): Node => {
    const kinds: (() => Node)[] = [
      () => ({ ...file(text(below(10_000))), meta: about() }),
      () => ({ ...verityFile(text(below(3) === 0 ? below(300_000) : below(5000))), meta: about() }),
      () => ({ kind: "symlink", meta: about(), target: byteString("t".repeat(1 + below(130))) }),
      () => ({ kind: "char", meta: about(), rdev: below(2 ** 32) }),
      () => ({ kind: "fifo", meta: about() }),
    ];
    return (kinds[below(kinds.length)] as () => Node)();
  };
  const inner = (depth: number): Ext4Directory<Uint8Array> => {
    const entries = new Map<ByteString, Node>();
    const twin = leaf();
    for (let i = below(depth === 0 ? 100 : 25); i >= 0; i--) {
      const name = byteString(`${i}${"ü".repeat(below(120))}`);
      entries.set(name, below(8) === 0 && depth < 3 ? inner(depth + 1) : below(5) === 0 ? twin : leaf());
    }
    return { kind: "directory", meta: about(), entries };
  };
  return inner(0);
}

test.each(Array.from({ length: 12 }, (_, i) => i + 1))("e2fsck finds no fault in random tree %i", async (seed) => {
  expect(fsck(await write("random.img", randomFolder(seed)))).not.toMatch(/fix|error|wrong|WARNING/i);
});

test("dumpe2fs sees the features of a file system made by mke2fs -O verity", async () => {
  const [ours, theirs] = [await write("ours.img", folder({}), { size: 600 * MIB }), join(directory, "theirs.img")];
  run("mke2fs", ["-q", "-t", "ext4", "-b", "4096", "-O", "verity", "-m", "0", theirs, "600M"]);
  const [found, expected] = [fields(ours), fields(theirs)];
  const same = [
    "Filesystem features",
    "Default mount options",
    "Filesystem state",
    "Block count",
    "Inode count",
    "Block size",
    "Group descriptor size",
    "Reserved GDT blocks",
    "Blocks per group",
    "Inodes per group",
    "Flex block group size",
    "First inode",
    "Inode size",
    "Required extra isize",
    "Journal inode",
    "Default directory hash",
    "Journal backup",
    "Checksum type",
    "Total journal size",
    "Free blocks",
    "Free inodes",
  ];
  for (const name of same) expect(found.get(name), name).toBe(expected.get(name));
  expect(found.get("Filesystem UUID")).toBe(UUID);
  expect(found.get("Directory Hash Seed")).toBe(HASH_SEED);
  expect(found.get("Filesystem volume name")).toBe("root");
});

describe("debugfs", () => {
  let image: string;
  beforeAll(async () => void (image = await write("debugfs.img", tree, { size: 256 * MIB })));

  test("reads contents", () => {
    const copy = join(directory, "copy");
    debugfs(image, `dump /usr/bin/ping ${copy}`);
    writeFileSync(join(directory, "expected"), text(70_000));
    expect(run("cmp", [copy, join(directory, "expected")])).toBe("");
    expect(debugfs(image, "cat /labelled")).toBe(Buffer.from(text(10)).toString());
  });

  test("reads inodes", () => {
    expect(debugfs(image, "stat /usr/bin/twin")).toMatch(
      /Type: regular[\s\S]*Mode: {2}0644[\s\S]*User: {2}1000 {3}Group: 70000/,
    );
    expect(debugfs(image, "stat /usr/bin/twin")).toMatch(/Links: 20701/);
    expect(debugfs(image, "stat /usr/bin/twin")).toMatch(/mtime: 0x5f5e1000:1d6f3454/);
    expect(debugfs(image, "stat /fast")).toContain('Fast link dest: "usr/bin"');
    expect(debugfs(image, "stat /console")).toContain("major/minor number: 05:01");
    expect(debugfs(image, "stat /disk")).toContain("major/minor number: 08:257");
    expect(debugfs(image, "stat /sealed")).toContain("Flags: 0x180000");
  });

  test("reads extended attributes", () => {
    expect(debugfs(image, "ea_get /labelled security.selinux")).toContain("system_u:object_r:usr_t:s0\\000");
    const list = debugfs(image, "ea_list /attributes");
    expect(list).toMatch(/trusted\.overlay\.opaque \(1\) = "y"/);
    expect(list).toMatch(/user\.long \(3000\)/);
    expect(list).toMatch(/user\.empty \(0\)/);
  });

  test("finds names through the index", () => {
    expect(debugfs(image, "htree_dump /thousands")).toMatch(/Indirect levels: 1/);
    expect(debugfs(image, "htree_dump /hundreds")).toMatch(/Indirect levels: 0/);
  });
});

/** Sizes around the steps of blocks, 64 KiB and levels of the tree. */
const VERITY_SIZES = [0, 1, 4096, 4097, 65_535, 65_536, 65_537, 262_144, 262_145, 300_000, 16 * MIB, 16 * MIB + 1];

test.each(["sha256", "sha512"] as const)(
  "verity files in %s have the metadata of mke2fs -d and debugfs, and the digest of fsverity",
  async (algorithm) => {
    const contents = VERITY_SIZES.map(text);
    const nodes = contents.map((bytes) => verityFile(bytes, algorithm));
    const ours = await write("verity.img", folder(Object.fromEntries(nodes.map((node) => [String(node.size), node]))));
    fsck(ours);

    const staged = join(directory, `staged-${algorithm}`);
    mkdirSync(staged);
    const commands: string[] = [];
    for (const { size, content, verity } of nodes) {
      if (verity === undefined) throw new Error("no verity file");
      const gap = new Uint8Array(verityOffset(size) - size);
      writeFileSync(join(staged, String(size)), Buffer.concat([content, gap, verity.metadata]));
      commands.push(`sif /${size} size ${size}`, `sif /${size} flags 0x180000`);
    }
    const theirs = join(directory, `mke2fs-${algorithm}.img`);
    run("mke2fs", ["-q", "-t", "ext4", "-b", "4096", "-O", "verity", "-d", staged, theirs, "200M"]);
    const script = join(directory, "script");
    writeFileSync(script, `${commands.join("\n")}\n`);
    run("debugfs", ["-w", "-f", script, theirs]);
    fsck(theirs);

    const [ourVolume, theirVolume] = [openExt4(fileSource(ours)), openExt4(fileSource(theirs))];
    for (const { size, content } of nodes) {
      const name = byteString(String(size));
      const [mine, other] = [findInode(ourVolume, name), findInode(theirVolume, name)];
      if (mine === undefined || other === undefined) throw new Error(`${name} is absent`);
      expect(mine).toMatchObject({ size, flags: 0x180000, isVerity: true });
      const metadata = readVerityMetadata(ourVolume, mine);
      expect(metadata).toEqual(readVerityMetadata(theirVolume, other));
      const end = metadata.treeOffset + metadata.treeSize + 4096;
      const bytes = (volume: typeof ourVolume, inode: typeof mine): Buffer =>
        Buffer.concat([...readFile(volume, inode, 0, end)]);
      expect(Buffer.compare(bytes(ourVolume, mine), bytes(theirVolume, other)), `${size} bytes`).toBe(0);

      writeFileSync(join(directory, "plain"), content);
      const [digest] = run("fsverity", [
        "digest",
        `--hash-alg=${algorithm}`,
        "--compact",
        join(directory, "plain"),
      ]).split("\n");
      expect(toHex(hash(algorithm, metadata.descriptor, "buffer"))).toBe(digest);
    }
  },
);

test.each([
  ["4096", []],
  ["1024", []],
  ["2048", ["-O", "^64bit"]],
  ["4096", ["-O", "metadata_csum_seed", "-I", "1024"]],
  ["4096", ["-O", "^metadata_csum", "-I", "128"]],
])("the reader understands what mke2fs -b %s %j makes of a directory", (blockSize, flags) => {
  const staged = join(directory, "tree");
  mkdirSync(join(staged, "sub/deep"), { recursive: true });
  writeFileSync(join(staged, "large"), text(3 * MIB + 7));
  writeFileSync(join(staged, "sub/small"), "small\n");
  run("ln", ["-sfn", "t".repeat(100), join(staged, "slow")]);
  run("ln", ["-sfn", "target", join(staged, "fast")]);
  run("mkfifo", ["-m", "640", join(staged, "fifo")]);
  run("setfattr", ["-n", "user.note", "-v", "value", join(staged, "large")]);
  run("setfattr", ["-n", "user.long", "-v", "v".repeat(700), join(staged, "large")]);
  for (let i = 0; i < 300; i++) writeFileSync(join(staged, `sub/deep/${"name".repeat(20)}${i}`), String(i));
  utimesSync(join(staged, "large"), 1_600_000_000, 1_600_000_000);
  const image = join(directory, "mke2fs.img");
  rmSync(image, { force: true });
  run("mke2fs", ["-q", "-t", "ext4", "-b", blockSize, ...flags, "-L", "theirs", "-d", staged, image, "64M"]);
  rmSync(staged, { recursive: true });

  const volume = openExt4(fileSource(image));
  const at = (path: string): NonNullable<ReturnType<typeof findInode>> => {
    const inode = findInode(volume, byteString(path));
    if (inode === undefined) throw new Error(`${path} is absent`);
    return inode;
  };
  expect(volume).toMatchObject({ label: "theirs", blockSize: Number(blockSize) });
  expect(
    readDirectory(volume, readInode(volume, 2))
      .map(({ name }) => name)
      .sort(),
  ).toEqual(["fast", "fifo", "large", "lost+found", "slow", "sub"]);
  expect(Buffer.concat([...readFile(volume, at("large"))]).equals(text(3 * MIB + 7))).toBe(true);
  expect(at("large").modified.sec).toBe(1_600_000_000n);
  expect(Object.fromEntries(at("large").xattrs)).toEqual({ "user.note": "value", "user.long": "v".repeat(700) });
  expect([readLinkTarget(volume, at("fast")), readLinkTarget(volume, at("slow"))]).toEqual(["target", "t".repeat(100)]);
  expect(at("fifo")).toMatchObject({ kind: "fifo", mode: 0o640 });
  expect(readDirectory(volume, at("sub/deep"))).toHaveLength(300);
  expect(readFileRanges(volume, at("sub/small"))).toHaveLength(1);
});

test("resize2fs grows what we write, over the reserved descriptor blocks", async () => {
  const image = await write("grow.img", tree, { maxSize: 2 ** 40 });
  truncateSync(image, 20_480 * MIB);
  run("resize2fs", [image]);
  fsck(image);
  const volume = openExt4(fileSource(image));
  expect(volume.blockCount * 4096).toBe(20_480 * MIB);
  expect(readDirectory(volume, findInode(volume, byteString("thousands")) ?? readInode(volume, 2))).toHaveLength(
    20_000,
  );
});

/** Where the image is mounted, or why this machine cannot. */
function mountLoop(image: string, at: string): string | undefined {
  try {
    run("mount", ["-o", "loop", image, at]);
    return undefined;
  } catch (error) {
    return String(error).split("\n").slice(0, 3).join(" ");
  }
}

test("the kernel mounts, changes and grows what we write", async ({ skip }) => {
  const image = await write("mount.img", tree, { size: 400 * MIB });
  const at = join(directory, "mount");
  mkdirSync(at);
  const refusal = mountLoop(image, at);
  if (refusal !== undefined) {
    console.warn(`not tested: this machine mounts no loop device: ${refusal}`);
    skip(refusal);
  }
  try {
    expect(run("cat", [join(at, "labelled")])).toBe(Buffer.from(text(10)).toString());
    expect(
      run("ls", [join(at, "thousands")])
        .trim()
        .split("\n"),
    ).toHaveLength(20_000);
    // A look-up by name goes through the index, with names beyond ASCII.
    expect(run("stat", ["-c", "%h %u %g %Y", join(at, "thousands", "777-".padEnd(116, "ä"))])).toBe(
      "20701 1000 70000 1600000000\n",
    );
    expect(run("getfattr", ["-d", "-m", "-", "--absolute-names", join(at, "attributes")])).toContain(
      'trusted.overlay.opaque="y"',
    );
    expect(run("getcap", [join(at, "usr/bin/ping")])).toContain("cap_net_raw");

    for (let i = 0; i < 500; i++) writeFileSync(join(at, "thousands", `new-${i}`.padEnd(200, "x")), text(i));
    for (let i = 0; i < 2000; i++) rmSync(join(at, "thousands", `${i}-`.padEnd(116, "ä")));
    writeFileSync(join(at, "usr/bin/big"), text(100 * MIB));
    rmSync(join(at, "hundreds"), { recursive: true });
    mkdirSync(join(at, "lost+found/x"));
    run("setfattr", ["-n", "user.more", "-v", "x".repeat(500), join(at, "labelled")]);

    truncateSync(image, 1200 * MIB);
    const device = run("findmnt", ["-n", "-o", "SOURCE", at]).trim();
    run("losetup", ["-c", device]);
    try {
      run("resize2fs", [device]);
      writeFileSync(join(at, "beyond"), text(500 * MIB));
    } catch (error) {
      if (!String(error).includes("Permission denied")) throw error;
      console.warn("not tested: growing while mounted, this machine has no CAP_SYS_RESOURCE");
    }
  } finally {
    run("umount", [at]);
  }
  expect(fsck(image)).not.toMatch(/fix|error|wrong/i);
});
