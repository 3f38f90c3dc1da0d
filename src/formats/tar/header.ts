import { type ByteString, bytesToByteString } from "../../lib/bytes/byte-string.ts";
import { FormatError, quote, UnsupportedError } from "../../lib/errors.ts";
import type { TarEntry } from "./entry.ts";
import {
  GNU_MAGIC,
  TAR_BLOCK_SIZE,
  TAR_FIELD,
  TAR_SPARSE_TYPE,
  TAR_TYPE,
  type TarField,
  USTAR_MAGIC,
} from "./layout.ts";
import { type Place, parseNumber, parseOctal } from "./number.ts";
import type { PaxValues } from "./pax.ts";

/** What the headers before an entry say about it. */
export interface TarExtensions {
  pax?: PaxValues;
  longName?: ByteString;
  longLink?: ByteString;
}

export const TAR_HEADER = "tar header";
const NO_XATTRS: ReadonlyMap<ByteString, ByteString> = new Map();
const I64_MAX = 2n ** 63n - 1n;

export type TarFlavour = "ustar" | "gnu" | "v7";

export function tarFlavour(block: Uint8Array): TarFlavour {
  const magic = wholeField(block, TAR_FIELD.magic);
  return magic === USTAR_MAGIC ? "ustar" : magic === GNU_MAGIC ? "gnu" : "v7";
}

/** The type field as a one-unit string. */
export function tarType(block: Uint8Array): string {
  return wholeField(block, TAR_FIELD.type);
}

export function isZeroBlock(block: Uint8Array): boolean {
  for (let at = 0; at < TAR_BLOCK_SIZE; at++) if (block[at] !== 0) return false;
  return true;
}

/**
 * Checks the header checksum: the sum of its bytes, the checksum itself counted as spaces. Old writers summed signed
 * bytes; both are taken.
 *
 * @throws {FormatError} `tar.header.checksum-mismatch`
 */
export function verifyChecksum(block: Uint8Array, offset: number): void {
  const [from, size] = TAR_FIELD.checksum;
  const stored = parseNumber(block, "checksum", offset);
  let sum = 0x20 * size;
  let high = 0;
  for (let at = 0; at < TAR_BLOCK_SIZE; at++) {
    if (at === from) at += size;
    const byte = block[at] as number;
    sum += byte;
    high += byte >> 7;
  }
  if (stored !== sum && stored !== sum - 256 * high) {
    throw new FormatError("tar.header.checksum-mismatch", {
      what: `${TAR_HEADER}: checksum`,
      offset: offset + from,
      expected: String(sum),
      found: String(stored),
    });
  }
}

/**
 * Size of what follows a header; the entry's own headers may replace it.
 *
 * @throws {FormatError} `tar.number.*`
 */
export function contentSize(block: Uint8Array, offset: number): number {
  return safe(parseNumber(block, "size", offset), offset);
}

/**
 * Decodes the header of an entry, with what came before it applied, as composefs-rs does.
 *
 * @param offset of the header in the archive
 * @throws {FormatError} `tar.entry.*`, `tar.number.*`, `tar.device.pre-ustar`
 * @throws {UnsupportedError} `tar.entry.type-unsupported`, `tar.sparse.unsupported`
 * @see composefs specification, section 3.2
 */
export function parseEntry(block: Uint8Array, extensions: TarExtensions, offset: number): TarEntry {
  const { pax } = extensions;
  const flavour = tarFlavour(block);
  const kind = entryKind(block, offset);
  const path = pax?.path ?? extensions.longName ?? headerPath(block, flavour);
  if (path === "") {
    throw new FormatError("tar.entry.path-empty", {
      what: `${TAR_HEADER}: name`,
      offset,
      expected: "a path",
      found: "none",
    });
  }
  requireNoNul(path, offset);
  const headerSize = parseNumber(block, "size", offset);
  const size = safe(pax?.size ?? headerSize, offset);
  // composefs-rs decodes every field of a header, also those that a PAX record replaces or that a kind has no use for.
  const [uid, gid, mtime] = [
    parseNumber(block, "uid", offset),
    parseNumber(block, "gid", offset),
    parseNumber(block, "mtime", offset),
  ];
  const [major, minor] =
    flavour === "v7" ? [0, 0] : [parseOctal(block, "devMajor", offset), parseOctal(block, "devMinor", offset)];
  const mtimeSec = BigInt(pax?.mtimeSec ?? mtime);
  if (mtimeSec > I64_MAX) {
    throw new FormatError("tar.number.too-large", {
      ...place(path, offset),
      expected: "mtime below 2^63",
      found: String(mtimeSec),
    });
  }
  const meta = {
    path,
    mode: low32(parseNumber(block, "mode", offset)) & 0o7777,
    uid: low32(pax?.uid ?? uid),
    gid: low32(pax?.gid ?? gid),
    mtimeSec,
    mtimeNsec: pax?.mtimeNsec ?? 0,
    xattrs: pax === undefined || pax.xattrs.size === 0 ? NO_XATTRS : pax.xattrs,
  };
  if (kind === "file") return { ...meta, kind, size };
  if (size !== 0) {
    throw new FormatError("tar.entry.content-unexpected", {
      ...place(path, offset),
      expected: `no content in a ${kind}`,
      found: `${size} bytes`,
    });
  }
  switch (kind) {
    case "directory":
    case "fifo":
      return { ...meta, kind };
    case "hardlink":
    case "symlink": {
      const target = pax?.linkPath ?? extensions.longLink ?? text(block, TAR_FIELD.linkName);
      if (target === "") {
        throw new FormatError("tar.entry.target-empty", {
          ...place(path, offset),
          expected: `the target of a ${kind}`,
          found: "none",
        });
      }
      requireNoNul(target, offset);
      return { ...meta, kind, target };
    }
    case "char":
    case "block":
      if (flavour === "v7") {
        throw new FormatError("tar.device.pre-ustar", {
          ...place(path, offset),
          expected: "ustar or GNU magic",
          found: "neither",
        });
      }
      return { ...meta, kind, major, minor };
    default:
      return kind satisfies never;
  }
}

function entryKind(block: Uint8Array, offset: number): (typeof TAR_TYPE)[keyof typeof TAR_TYPE] {
  const type = tarType(block);
  if (Object.hasOwn(TAR_TYPE, type)) return TAR_TYPE[type as keyof typeof TAR_TYPE];
  if (type === TAR_SPARSE_TYPE) {
    throw new UnsupportedError(
      "tar.sparse.unsupported",
      `${TAR_HEADER} at byte ${offset}: found a GNU sparse file, which is not supported`,
    );
  }
  throw new UnsupportedError(
    "tar.entry.type-unsupported",
    `${TAR_HEADER} at byte ${offset}: found type ${quote(type)}, expected one of ${Object.keys(TAR_TYPE)
      .map((t) => quote(t))
      .join(" ")}`,
  );
}

function headerPath(block: Uint8Array, flavour: TarFlavour): ByteString {
  const name = text(block, TAR_FIELD.name);
  const prefix = flavour === "ustar" ? text(block, TAR_FIELD.prefix) : "";
  return prefix === "" ? name : (`${prefix}/${name}` as ByteString);
}

/** A field's bytes up to NUL. */
function text(block: Uint8Array, field: TarField): ByteString {
  const whole = wholeField(block, field);
  const end = whole.indexOf("\0");
  return end === -1 ? whole : (whole.slice(0, end) as ByteString);
}

function wholeField(block: Uint8Array, [offset, size]: TarField): ByteString {
  return bytesToByteString(block.subarray(offset, offset + size));
}

const place = (path: ByteString, offset: number): Place => ({ what: `${TAR_HEADER} of ${quote(path)}`, offset });

/** The header's fields end at NUL; a PAX record or a long name could carry one, and no file system could. */
function requireNoNul(name: ByteString, offset: number): void {
  if (!name.includes("\0")) return;
  throw new FormatError("tar.entry.name-has-nul", {
    what: TAR_HEADER,
    offset,
    expected: "no NUL in a name",
    found: quote(name),
  });
}

function low32(value: number | bigint): number {
  return typeof value === "number" && value >= 0 && value <= 0xffff_ffff
    ? value
    : Number(BigInt.asUintN(32, BigInt(value)));
}

function safe(value: number | bigint, offset: number): number {
  if (typeof value === "number") return value;
  throw new FormatError("tar.number.too-large", {
    what: `${TAR_HEADER}: size`,
    offset,
    expected: "a size up to 2^53 - 1",
    found: String(value),
  });
}
