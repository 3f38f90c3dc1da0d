import type { ByteString } from "../../lib/bytes/byte-string.ts";
import { quote } from "../../lib/errors.ts";
import { VERITY_ALGORITHMS, type VerityAlgorithm } from "../fsverity/algorithm.ts";
import type { DumpEntry, DumpMetadata, DumpNode } from "./entry.ts";
import {
  ALGORITHM_BY_HEX_LENGTH,
  DUMPFILE_LIMITS,
  type DumpfileLimits,
  MODE_TYPE,
  MODE_TYPE_MASK,
  XATTR_NAME_MAX,
  XATTR_NAMES_MAX,
  XATTR_VALUE_MAX,
} from "./layout.ts";
import { DumpfileScanner } from "./scanner.ts";

export interface ParseDumpfileOptions {
  /** The algorithm of every DIGEST; by default that of the first one. */
  readonly algorithm?: VerityAlgorithm;
  readonly limits?: DumpfileLimits;
}

export interface Dumpfile {
  /** The lines in order, parsed as they are asked for; may be walked once. */
  readonly entries: Iterable<DumpEntry>;
  /** The algorithm of the digests: as given, or undefined until an entry told it. */
  readonly algorithm: VerityAlgorithm | undefined;
}

/**
 * Reads a dump as composefs-rs does, where it and `mkcomposefs` differ.
 *
 * Lines are judged one by one; whether they make a tree is for whoever builds one.
 *
 * @param bytes the whole dump; nothing that is returned refers to it
 * @throws {FormatError} `dumpfile.*` with the number of the line, here or from `entries`
 */
export function parseDumpfile(bytes: Uint8Array, options: ParseDumpfileOptions = {}): Dumpfile {
  return new Reader(new DumpfileScanner(bytes), options);
}

const U32_MAX = 0xffffffff;
const HARDLINK_MARK = "@".charCodeAt(0);

type Kind = keyof typeof MODE_TYPE;

const KINDS: ReadonlyMap<number, Kind> = new Map(
  (Object.keys(MODE_TYPE) as Kind[]).map((kind) => [MODE_TYPE[kind], kind]),
);

/** What is remembered to be shared: text of one line, and different texts. Safety limits. */
const SHARED_TEXT_MAX = 256;
const SHARED_MAPS_MAX = 4096;

const NO_XATTRS: ReadonlyMap<ByteString, ByteString> = new Map();
const NO_CONTENT = new Uint8Array(0);

class Reader implements Dumpfile {
  readonly #scanner: DumpfileScanner;
  readonly #limits: DumpfileLimits;
  readonly #sharedXattrs = new Map<string, ReadonlyMap<ByteString, ByteString>>();
  #algorithm: VerityAlgorithm | undefined;

  constructor(scanner: DumpfileScanner, { algorithm, limits = DUMPFILE_LIMITS }: ParseDumpfileOptions) {
    this.#scanner = scanner;
    this.#algorithm = algorithm;
    this.#limits = limits;
  }

  get algorithm(): VerityAlgorithm | undefined {
    return this.#algorithm;
  }

  get entries(): Iterable<DumpEntry> {
    return this.#lines();
  }

  *#lines(): Generator<DumpEntry, void, void> {
    while (this.#scanner.nextLine()) yield this.#line();
  }

  #line(): DumpEntry {
    const line = this.#scanner;
    const path = this.#path("PATH");
    const size = line.field("SIZE").bigint("SIZE");
    const isHardlink = line.field("MODE").skipByte(HARDLINK_MARK);
    const mode = line.number("MODE", 8, U32_MAX);
    const kind = KINDS.get(mode & MODE_TYPE_MASK);
    if (isHardlink) return this.#hardlink(path, kind);

    const nlink = line.field("NLINK").number("NLINK", 10, U32_MAX);
    const uid = line.field("UID").number("UID", 10, U32_MAX);
    const gid = line.field("GID").number("GID", 10, U32_MAX);
    const rdev = line.field("RDEV").number("RDEV", 10, U32_MAX);
    const { sec, nsec } = line.field("MTIME").time();
    if (kind === undefined) {
      throw line.refuse("dumpfile.mode.no-type", "MODE", "the type bits of a file kind", mode.toString(8));
    }
    if (rdev !== 0 && kind !== "char" && kind !== "block") {
      throw line.refuse("dumpfile.rdev.unexpected", "RDEV", `0 for a ${kind}`, String(rdev));
    }
    if (kind === "char" && rdev === 0 && nlink > 1) {
      throw line.refuse("dumpfile.whiteout.hard-linked", "NLINK", "1 for a whiteout", String(nlink));
    }
    const node = kind === "file" ? this.#file(size) : this.#other(kind, rdev);
    const meta: DumpMetadata = {
      mode: mode & 0o7777,
      uid,
      gid,
      mtimeSec: sec,
      mtimeNsec: nsec,
      xattrs: this.#xattrs(),
    };
    return { kind: "node", path, nlink, meta, node };
  }

  /** Fields between MODE and PAYLOAD are not looked at, nor is anything after PAYLOAD. */
  #hardlink(path: ByteString, kind: string | undefined): DumpEntry {
    if (kind === "directory") {
      throw this.#scanner.refuse("dumpfile.hardlink.directory", "MODE", "a hard link to a file", "to a directory");
    }
    for (const name of ["NLINK", "UID", "GID", "RDEV", "MTIME"] as const) this.#scanner.field(name);
    return { kind: "hardlink", path, target: this.#path("PAYLOAD") };
  }

  #path(name: "PATH" | "PAYLOAD"): ByteString {
    const line = this.#scanner.field(name);
    const path = line.isNone ? undefined : line.string(name);
    if (path !== undefined && isCanonicalPath(path)) return path;
    throw line.refuse(
      "dumpfile.path.malformed",
      name,
      'an absolute path without NUL, ".", ".." and empty components',
      quote(line.text),
    );
  }

  #file(size: bigint): DumpNode {
    const line = this.#scanner;
    const payload = line.field("PAYLOAD").isNone ? undefined : line.string("PAYLOAD");
    const content = line.field("CONTENT").isNone ? undefined : this.#content();
    const digest = line.field("DIGEST").isNone ? undefined : this.#digest();
    if (payload !== undefined) {
      return digest === undefined
        ? { kind: "unverified", size, path: this.#objectPath(payload) }
        : { kind: "external", size, digest };
    }
    if (content !== undefined) return { kind: "inline", bytes: content };
    if (size === 0n) return { kind: "inline", bytes: NO_CONTENT };
    if (digest !== undefined) {
      throw line.refuse("dumpfile.digest.without-payload", "DIGEST", "- where PAYLOAD and CONTENT are -", "a digest");
    }
    return { kind: "sparse", size };
  }

  #other(kind: Exclude<Kind, "file">, rdev: number): DumpNode {
    const line = this.#scanner.field("PAYLOAD");
    const target = kind === "symlink" ? this.#target() : undefined;
    for (const name of ["CONTENT", "DIGEST"] as const) {
      if (!line.field(name).isNone && kind !== "symlink") {
        throw line.refuse("dumpfile.content.unexpected", name, `- for a ${kind}`, quote(line.text));
      }
    }
    if (target !== undefined) return { kind: "symlink", target };
    return kind === "char" || kind === "block"
      ? { kind, rdev }
      : { kind: kind as Exclude<Kind, "file" | "symlink" | "char" | "block"> };
  }

  #target(): ByteString {
    const line = this.#scanner;
    const target = line.isNone ? ("" as ByteString) : line.string("PAYLOAD");
    const { target: limit } = this.#limits;
    if (target.length === 0 || target.length > limit || target.includes("\0")) {
      const found = target.length === 0 ? "none" : `${target.length} bytes`;
      throw line.refuse(
        "dumpfile.symlink.target",
        "PAYLOAD",
        `a link target of 1 to ${limit} bytes without NUL`,
        found,
      );
    }
    return target;
  }

  #content(): Uint8Array {
    const content = this.#scanner.bytes("CONTENT");
    const { content: limit } = this.#limits;
    if (content.length > limit) {
      throw this.#scanner.refuse("dumpfile.content.too-long", "CONTENT", `at most ${limit} bytes`, `${content.length}`);
    }
    return content;
  }

  #digest(): Uint8Array {
    const line = this.#scanner;
    const algorithm = this.#algorithm ?? ALGORITHM_BY_HEX_LENGTH[line.length];
    const digits = algorithm === undefined ? "64 or 128" : String(2 * VERITY_ALGORITHMS[algorithm].digestSize);
    const digest = String(line.length) === digits || algorithm === undefined ? line.hex() : undefined;
    if (digest === undefined || algorithm === undefined) {
      throw line.refuse("dumpfile.digest.malformed", "DIGEST", `${digits} hex digits`, quote(line.text));
    }
    this.#algorithm = algorithm;
    return digest;
  }

  /** composefs-rs takes the last two components; what stands before them is lost. */
  #objectPath(payload: ByteString): ByteString {
    const [, path] = /(?:^|\/)([0-9a-f]{2}\/[0-9a-f]+)$/i.exec(payload) ?? [];
    const algorithm = this.#algorithm ?? ALGORITHM_BY_HEX_LENGTH[(path?.length ?? 0) - 1];
    if (
      path === undefined ||
      algorithm === undefined ||
      path.length - 1 !== 2 * VERITY_ALGORITHMS[algorithm].digestSize
    ) {
      throw this.#scanner.refuse("dumpfile.payload.no-object", "PAYLOAD", "an object path xx/yyyy...", quote(payload));
    }
    this.#algorithm = algorithm;
    return path.toLowerCase() as ByteString;
  }

  /** Lines with the same attributes share one map: most of an OS differs in few labels only. */
  #xattrs(): ReadonlyMap<ByteString, ByteString> {
    const line = this.#scanner;
    if (!line.hasField) return NO_XATTRS;
    if (line.restSize > SHARED_TEXT_MAX) return this.#parseXattrs();
    const text = line.rest;
    let xattrs = this.#sharedXattrs.get(text);
    if (xattrs === undefined) {
      xattrs = this.#parseXattrs();
      if (this.#sharedXattrs.size < SHARED_MAPS_MAX) this.#sharedXattrs.set(text, xattrs);
    }
    return xattrs;
  }

  /** Of a repeated name composefs-rs keeps the largest value. */
  #parseXattrs(): ReadonlyMap<ByteString, ByteString> {
    const line = this.#scanner;
    const xattrs = new Map<ByteString, ByteString>();
    let names = 0;
    while (line.hasField) {
      const { name, value } = line.field("xattr").xattr();
      names += name.length;
      if (name.length === 0 || name.length > XATTR_NAME_MAX || name.includes("\0")) {
        const expected = `a name of 1 to ${XATTR_NAME_MAX} bytes without NUL`;
        throw line.refuse("dumpfile.xattr.name", "xattr", expected, `${name.length} bytes`);
      }
      if (value.length > XATTR_VALUE_MAX) {
        throw line.refuse(
          "dumpfile.xattr.value",
          "xattr",
          `a value of at most ${XATTR_VALUE_MAX} bytes`,
          `${value.length}`,
        );
      }
      const known = xattrs.get(name);
      if (known === undefined || known < value) xattrs.set(name, value);
    }
    if (names > XATTR_NAMES_MAX) {
      throw line.refuse(
        "dumpfile.xattr.names",
        "xattr",
        `names of at most ${XATTR_NAMES_MAX} bytes together`,
        `${names}`,
      );
    }
    return xattrs;
  }
}

function isCanonicalPath(path: ByteString): boolean {
  if (path.charCodeAt(0) !== 0x2f) return false;
  if (path.length === 1) return true;
  if (path.charCodeAt(path.length - 1) === 0x2f || path.includes("\0")) return false;
  return !path.includes("//") && !/\/\.\.?(?:\/|$)/.test(path);
}
