import { type ByteString, byteString } from "../src/lib/bytes/byte-string.ts";
import { FormatError } from "../src/lib/errors.ts";
import type { LayerEntry, LayerRecord } from "../src/model/layer/entry.ts";
import { applyLayer, emptyTree } from "../src/model/tree/apply.ts";
import { isWhiteout, type Metadata, makeDevice, type Tree, type TreeNode } from "../src/model/tree/tree.ts";
import { generator, pickOf, type Random } from "./random.ts";

const SIZES = [0, 0, 1, 63, 64, 65, 66, 511, 512, 513, 2047, 2048, 2049, 4095, 4096, 4097, 8192, 65_537];
const NAME_LENGTHS = [1, 1, 2, 2, 3, 4, 6, 12, 99, 100, 101, 155, 254, 255];
const TARGET_LENGTHS = [1, 2, 10, 59, 60, 61, 99, 100, 101, 1000, 1023, 1024];
const XATTRS = [
  "security.capability",
  "security.capability",
  "security.selinux",
  "security.ima",
  "user.a",
  "user.overlay.opaque",
  "user.größe",
  "system.posix_acl_access",
  "system.posix_acl_default",
  "trusted.overlay.opaque",
  "trusted.x",
];
const DEVICES = [0, 1, makeDevice(1, 3), makeDevice(8, 0), makeDevice(0xfff, 0xfffff)];
const FILE_CONTEXTS = [
  "/.* system_u:object_r:default_t:s0",
  "/usr(/.*)? system_u:object_r:usr_t:s0",
  "/usr/[^/]* -- system_u:object_r:bin_t:s0",
  "/etc(/.*)? -d system_u:object_r:etc_t:s0",
  "/.*a -l system_u:object_r:link_t:s0",
  "/usr/b.* <<none>>",
  "/.*[0-9]+ system_u:object_r:number_t:s0",
];

/** What a seeded stack is made of, beyond its seed. */
export interface RandomLayersOptions {
  /** Entries of one directory that is put in, none without. */
  readonly bigDirectory?: number;
  /** Puts in an SELinux policy. Default false. */
  readonly policy?: boolean;
  /** Only what a kernel takes from root in any file system: owners, modes of links, extended attributes. Default false. */
  readonly storable?: boolean;
}

/**
 * A stack of layers that become an OS tree: every entry is legal where it stands. Directories replace files and the
 * reverse, names come again within a layer and across layers, hard links reach into the layers below.
 */
export function randomLayers(seed: number, options: RandomLayersOptions = {}): LayerRecord[] {
  const { bigDirectory = 0, policy = false, storable = false } = options;
  const random = generator(seed);
  const pick = <T>(values: readonly T[]): T => pickOf(random, values);
  const tree = emptyTree();
  const layers: LayerRecord[] = [];
  let entries: LayerEntry[] = [];

  /** Keeps what can stand here; the rest would be refused. */
  const put = (given: LayerEntry): void => {
    const entry = storable ? asStorable(given) : given;
    try {
      applyLayer(tree, { entries: [entry], size: 0 }, 0);
      entries.push(entry);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
    }
  };
  const finish = (): void => {
    layers.push({ entries, size: 0 });
    entries = [];
  };
  const file = (path: string, bytes: Uint8Array): LayerEntry => ({
    kind: "file",
    path: byteString(path),
    content: { kind: "inline", bytes },
    meta: randomMeta(random, 0o644),
  });
  const directory = (path: ByteString): LayerEntry => ({ kind: "directory", path, meta: randomMeta(random, 0o755) });

  if (random(2) === 0) put(directory(pick(["./", "/", "."]) as ByteString));
  for (const name of ["usr", "etc/", "./boot", "sysroot", "run", "tmp", "usr/a", "usr/b"]) {
    if (name === "run" && random(3) === 0) continue;
    put(directory(name as ByteString));
  }
  if (policy) {
    for (const path of ["etc/selinux", "etc/selinux/p", "etc/selinux/p/contexts", "etc/selinux/p/contexts/files"]) {
      put(directory(path as ByteString));
    }
    const specs = FILE_CONTEXTS.filter((_, index) => index < 2 || random(3) > 0);
    put(file("etc/selinux/config", Buffer.from("SELINUX=enforcing\nSELINUXTYPE=p\n")));
    put(file("etc/selinux/p/contexts/files/file_contexts", Buffer.from(`${specs.join("\n")}\n`)));
    if (random(2) === 0) put(file("etc/selinux/p/contexts/files/file_contexts.subs", Buffer.from("/tmp /usr\n")));
  }
  const layerCount = 1 + random(5);
  for (let layer = 0; layer < layerCount; layer++) {
    for (let left = 5 + random(60); left > 0; left--) put(randomEntry(random, tree));
    if (layer === 0 && bigDirectory > 0) {
      put(directory("usr/big" as ByteString));
      for (let index = 0; index < bigDirectory; index++) {
        const entry = randomLeaf(
          random,
          `usr/big/${index.toString(36)}${index % 7 === 0 ? "-".repeat(random(240)) : ""}`,
        );
        put(entry);
      }
    }
    finish();
  }
  return layers;
}

/** Without these directories a tree has no digest, and with a damaged policy no boot digest. */
const KEPT = /^(?:usr|boot|sysroot|run|etc(?:\/selinux(?:\/.*)?)?|)$/;

function randomEntry(random: Random, tree: Tree): LayerEntry {
  const places = [...pathsOf(tree)].filter(([path]) => !path.startsWith("etc/selinux"));
  const directories = places.filter(([, node]) => node.kind === "directory").map(([path]) => path);
  const leaves = places.filter(([, node]) => node.kind !== "directory" && !isWhiteout(node));
  const parent = pickOf(random, directories);
  const existing = pickOf(random, places)[0];
  const again = random(4) === 0 && existing !== "";
  const path = (again ? existing : join(parent, randomName(random))) as ByteString;
  const what = random(20);
  if (what < 6) return { kind: "directory", path: spelled(random, path, true), meta: randomMeta(random, 0o755) };
  if (what < 9 && leaves.length > 0 && !KEPT.test(path)) {
    const target = spelled(random, pickOf(random, leaves)[0], false);
    return { kind: "hardlink", path, target, meta: randomMeta(random, 0o644) };
  }
  if (what === 9 && parent !== "" && parent !== "etc") return marker(join(parent, ".wh..wh..opq"));
  if (what < 12) {
    const at = existing.lastIndexOf("/") + 1;
    return marker(`${existing.slice(0, at)}.wh.${KEPT.test(existing) ? "none" : existing.slice(at)}`);
  }
  if (KEPT.test(path)) return { kind: "directory", path, meta: randomMeta(random, 0o755) };
  return randomLeaf(random, spelled(random, path, false));
}

/** A whiteout of the OCI format: an empty file. */
function marker(path: string): LayerEntry {
  const meta = { mode: 0, uid: 0, gid: 0, mtimeSec: 0n, mtimeNsec: 0, xattrs: new Map() };
  return { kind: "file", path: path as ByteString, content: { kind: "inline", bytes: new Uint8Array() }, meta };
}

function randomLeaf(random: Random, path: string): LayerEntry {
  const meta = randomMeta(random, random(0o10000));
  const common = { path: path as ByteString, meta };
  const kind = pickOf(random, ["file", "file", "file", "file", "symlink", "symlink", "char", "block", "fifo"] as const);
  switch (kind) {
    case "file":
      return {
        ...common,
        kind: "file",
        content: { kind: "inline", bytes: randomBytes(random, pickOf(random, SIZES)) },
      };
    case "symlink":
      return { ...common, kind, target: randomText(random, pickOf(random, TARGET_LENGTHS)) };
    case "char":
      return { ...common, kind: "char", rdev: pickOf(random, DEVICES) };
    case "block":
      return { ...common, kind: "block", rdev: pickOf(random, DEVICES) };
    case "fifo":
      return { ...common, kind };
    default:
      return kind satisfies never;
  }
}

function randomMeta(random: Random, mode: number): Metadata {
  const xattrs = new Map<ByteString, ByteString>();
  for (let left = random(3) === 0 ? 1 + random(4) : 0; left > 0; left--) {
    const value = Buffer.from(randomBytes(random, random(8) === 0 ? 300 : random(30))).toString("latin1");
    xattrs.set(byteString(pickOf(random, XATTRS)), value as ByteString);
  }
  return {
    mode,
    uid: pickOf(random, [0, 0, 0, 1000, 65_535, 65_536, 0o7777777, 0o10000000, 0xffffffff]),
    gid: pickOf(random, [0, 0, 0, 1000, 65_535, 65_536, 0xffffffff]),
    mtimeSec: BigInt(pickOf(random, [0, 1, 1_700_000_000, 1_700_000_000, 2 ** 31, 2 ** 32, 2 ** 33 - 1, 2 ** 33])),
    mtimeNsec: pickOf(random, [0, 0, 1, 120_000_000, 999_999_999]),
    xattrs,
  };
}

/** A capability as the kernel has it: version 2, CAP_NET_BIND_SERVICE. */
const CAPABILITY = Buffer.from("0100000200040000000000000000000000000000", "hex").toString("latin1") as ByteString;

function asStorable(entry: LayerEntry): LayerEntry {
  const kept = [...entry.meta.xattrs].flatMap(([name, value]): [ByteString, ByteString][] => {
    if (name === "security.capability" && entry.kind === "file") return [[name, CAPABILITY]];
    return name.startsWith("trusted.x") ? [[name, value]] : [];
  });
  const owner = (id: number): number => (id === 0xffffffff ? 1 : id);
  const { meta } = entry;
  const mode = entry.kind === "symlink" ? 0o777 : meta.mode;
  const storable = { ...meta, mode, uid: owner(meta.uid), gid: owner(meta.gid), xattrs: new Map(kept) };
  return { ...entry, meta: storable };
}

function randomName(random: Random): ByteString {
  const name = randomText(random, pickOf(random, random(4) === 0 ? NAME_LENGTHS : [1, 1, 1, 2, 3]), "abc1!~");
  return (/^\.{1,2}$/.test(name) || name.startsWith(".wh.") ? `_${name}`.slice(0, 255) : name) as ByteString;
}

/** Letters, UTF-8 of two and four bytes, or any bytes but NUL and slash. */
function randomText(random: Random, length: number, letters = "abc/."): ByteString {
  const kind = random(6);
  if (kind < 4) return Array.from({ length }, () => letters[random(letters.length)]).join("") as ByteString;
  if (kind === 4) return byteString(pickOf(random, ["é", "𝄞", "ß"]).repeat(length)).slice(0, length) as ByteString;
  const bytes = Array.from({ length }, () => 1 + random(255)).map((byte) => (byte === 0x2f ? 0x2d : byte));
  return String.fromCharCode(...bytes) as ByteString;
}

function randomBytes(random: Random, length: number): Uint8Array {
  const first = random(256);
  return Uint8Array.from({ length }, (_, index) => first + index * (first | 1));
}

/** The same path in one of the spellings that archivers use. */
function spelled(random: Random, path: string, isDirectory: boolean): ByteString {
  const start = pickOf(random, ["", "", "./", "/"]);
  return `${start}${path}${isDirectory && random(2) === 0 ? "/" : ""}` as ByteString;
}

const join = (parent: string, name: string): string => (parent === "" ? name : `${parent}/${name}`);

function* pathsOf(tree: Tree): Generator<readonly [path: string, node: TreeNode]> {
  const stack: (readonly [string, TreeNode])[] = [["", tree.root]];
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    yield next;
    const [path, node] = next;
    if (node.kind !== "directory") continue;
    for (const [name, child] of node.entries) stack.push([join(path, name), child]);
  }
}
