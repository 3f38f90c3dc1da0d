import type { ByteString } from "../src/lib/bytes/byte-string.ts";
import {
  type Content,
  type Directory,
  emptyDirectory,
  type Leaf,
  type Metadata,
  type Tree,
} from "../src/model/tree/tree.ts";
import { generator } from "./random.ts";

const XATTR_PREFIXES = [
  "user.",
  "trusted.",
  "security.",
  "trusted.overlay.",
  "trusted.overlay.overlay.",
  "lustre.",
  "odd.",
];
const SIZES = [0, 1, 63, 64, 65, 200, 511, 512];
const EXTERNAL_SIZES = [
  1n,
  65n,
  4096n,
  4097n,
  8192n,
  8193n,
  1n << 20n,
  (1n << 42n) + 1n,
  1n << 43n,
  (1n << 43n) + 1n,
  1n << 53n,
];

/**
 * A tree with nodes of every kind, as long as `mkcomposefs` and composefs-rs agree on it: no attribute has the name
 * of a whiteout marker, no whiteout looks like a stub, no external file is empty.
 */
export function randomTree(seed: number, count: number): Tree {
  const random = generator(seed);
  const pick = <T>(values: readonly T[]): T => values[random(values.length)] as T;

  function text(length: number, isName: boolean): ByteString {
    const ascii = random(2) === 0;
    const units = Array.from({ length }, () => (ascii ? 0x21 + random(0x5e) : random(256)));
    return String.fromCharCode(...units.map((u) => (isName && (u === 0 || u === 0x2f) ? 0x2d : u))) as ByteString;
  }

  function xattrs(): Map<ByteString, ByteString> {
    const found = new Map<ByteString, ByteString>();
    if (random(3) === 0) found.set("security.selinux" as ByteString, `label_${random(4)}` as ByteString);
    if (random(40) === 0) found.set("system.posix_acl_access" as ByteString, text(28, false));
    for (let left = random(3) === 0 ? random(6) : 0; left > 0; left--) {
      const name = (pick(XATTR_PREFIXES) + (random(2) === 0 ? "k" : text(1 + random(20), true))) as ByteString;
      found.set(name, text(random(2) === 0 ? random(3) : random(700), false));
    }
    return found;
  }

  const meta = (mode: number): Metadata => ({
    mode,
    uid: pick([0, 0, 0, 1000, 65_535, 65_536, 0xffffffff]),
    gid: pick([0, 0, 0, 1000, 65_535, 65_536]),
    mtimeSec: BigInt(pick([0, 0, 1_700_000_000, 2 ** 33])),
    mtimeNsec: pick([0, 0, 1, 999_999_999]),
    xattrs: xattrs(),
  });

  function content(): Content {
    if (random(3) > 0) return { kind: "inline", bytes: Buffer.from(text(pick(SIZES), false), "latin1") };
    const size = pick(EXTERNAL_SIZES);
    if (random(6) === 0) return { kind: "sparse", size };
    const digest = Uint8Array.from({ length: 32 }, () => random(random(4) === 0 ? 2 : 256));
    const hex = Buffer.from(digest).toString("hex");
    if (random(6) === 0) return { kind: "unverified", size, path: `${hex.slice(0, 2)}/${hex.slice(2)}` as ByteString };
    return { kind: "external", size, digests: { sha256: digest } };
  }

  function leaf(): Leaf {
    const kind = pick(["file", "file", "file", "symlink", "char", "block", "fifo", "socket", "whiteout"] as const);
    switch (kind) {
      case "file":
        return { kind, content: content(), meta: meta(random(0o10000)) };
      case "symlink":
        return { kind, target: text(1 + (random(4) === 0 ? random(1024) : random(40)), true), meta: meta(0o777) };
      case "whiteout":
        return { kind: "char", rdev: 0, meta: meta(0o600) };
      case "char":
      case "block":
        return { kind, rdev: 1 + random(0xfffffff), meta: meta(0o600) };
      case "fifo":
      case "socket":
        return { kind, meta: meta(0o666) };
      default:
        return kind satisfies never;
    }
  }

  const root = emptyDirectory(meta(0o755));
  const directories: Directory[] = [root];
  const leaves: Leaf[] = [];
  for (let index = 0; index < count; index++) {
    const parent = pick(directories);
    const name = text(1 + (random(8) === 0 ? random(255) : random(12)), true);
    if (name === "." || name === ".." || parent.entries.has(name)) continue;
    const shared = leaves.length > 0 && random(12) === 0 ? pick(leaves) : undefined;
    if (shared !== undefined && !(shared.kind === "char" && shared.rdev === 0)) {
      parent.entries.set(name, shared);
    } else if (random(5) === 0) {
      const directory = emptyDirectory(meta(0o700 + random(0o100)));
      parent.entries.set(name, directory);
      directories.push(directory);
    } else {
      const node = leaf();
      parent.entries.set(name, node);
      leaves.push(node);
    }
  }
  return { root };
}
