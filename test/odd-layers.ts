/**
 * Layers that no archiver should write and some do: made byte by byte, each named for what is odd about it. What
 * composefs-rs says about each is kept in `vectors/composefs/odd-layers.json`.
 */
import { TAR_BLOCK_SIZE, TAR_END } from "../src/formats/tar/index.ts";
import { TAR_FIELD, USTAR_MAGIC } from "../src/formats/tar/layout.ts";
import { encodePax, encodePaxRecord } from "../src/formats/tar/pax.ts";
import type { ByteString } from "../src/lib/bytes/byte-string.ts";
import { alignUp } from "../src/lib/bytes/numbers.ts";

type Fields = Partial<Record<keyof typeof TAR_FIELD, string>>;

/** A header whose fields are as given, octal numbers by default, with the right checksum unless it is given too. */
export function rawHeader(fields: Fields): Buffer {
  const header = Buffer.alloc(TAR_BLOCK_SIZE);
  const plain: Fields = {
    mode: "0000644\0",
    uid: "0000000\0",
    gid: "0000000\0",
    size: "00000000000\0",
    mtime: "00000000001\0",
    checksum: " ".repeat(8),
    type: "0",
    magic: USTAR_MAGIC,
    devMajor: "0000000\0",
    devMinor: "0000000\0",
  };
  for (const [name, value] of Object.entries({ ...plain, ...fields })) {
    const [offset, size] = TAR_FIELD[name as keyof typeof TAR_FIELD];
    header.write(value, offset, size, "latin1");
  }
  if (fields.checksum === undefined) sealHeader(header);
  return header;
}

/** Writes the checksum of what a header has become. */
export function sealHeader(header: Buffer): void {
  const [offset, size] = TAR_FIELD.checksum;
  header.fill(" ", offset, offset + size);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, offset, size, "latin1");
}

const octal = (value: number): string => `${value.toString(8).padStart(11, "0")}\0`;
const padded = (content: string | Uint8Array): Buffer => {
  const bytes = typeof content === "string" ? Buffer.from(content, "latin1") : content;
  return Buffer.concat([bytes, Buffer.alloc(alignUp(bytes.length, TAR_BLOCK_SIZE) - bytes.length)]);
};

const dir = (name: string, more: Fields = {}): Buffer => rawHeader({ name, type: "5", mode: "0000755\0", ...more });
const file = (name: string, content = "", more: Fields = {}): Buffer =>
  Buffer.concat([rawHeader({ name, size: octal(content.length), ...more }), padded(content)]);
const link = (name: string, linkName: string): Buffer => rawHeader({ name, linkName, type: "1" });
const symlink = (name: string, linkName: string): Buffer => rawHeader({ name, linkName, type: "2" });
const extension = (type: string, data: string | Uint8Array, more: Fields = {}): Buffer =>
  Buffer.concat([rawHeader({ name: "extension", type, size: octal(data.length), ...more }), padded(data)]);
const pax = (...records: (readonly [string, string])[]): Buffer =>
  extension("x", encodePax(records as [string, ByteString][]));
const record = (keyword: string, value: string): string => encodePaxRecord(keyword as ByteString, value as ByteString);
const gnu: Fields = { magic: "ustar  \0" };
const base256 = (...bytes: number[]): string => String.fromCharCode(...bytes);

/** Each becomes the layer above one with `usr`, `etc` and `etc/f`, and is ended by two zero blocks. */
const ENDED: Readonly<Record<string, Uint8Array | readonly Uint8Array[]>> = {
  "nothing at all": [],
  "parent is missing": file("a/b"),
  "parent comes later": [file("a/b"), dir("a")],
  "parent is a file": file("etc/f/g"),
  "parent is a symlink": [symlink("l", "etc"), file("l/g")],
  "parent was whited out": [file(".wh.etc"), file("etc/g")],
  "path is ..": dir(".."),
  "path is .. and a file": file(".."),
  "path ends in ..": dir("etc/.."),
  "path goes up": file("../g"),
  "path goes up inside": file("etc/../g"),
  "path is ...": file("..."),
  "path is a dot": dir("."),
  "path is a dot and a file": file("."),
  "path is a slash": dir("/"),
  "path is slashes": dir("///"),
  "path is slashes and a file": file("//"),
  "path is absolute": file("/etc/g"),
  "path has two slashes": file("etc//g"),
  "path starts with two slashes": file("//etc/g"),
  "path has dots": file("./etc/././g"),
  "path of a file ends in a slash": file("etc/g/"),
  "path ends in /.": dir("etc/."),
  "path of a file ends in /.": file("etc/f/."),
  "path is empty": file(""),
  "path is a backslash": file("etc\\g"),
  "path has control bytes": file("etc/a\x01\n\t b"),
  "path is not UTF-8": file("etc/\xff\xfe"),
  "prefix is used": file("g", "", { prefix: "etc" }),
  "prefix alone": file("", "", { prefix: "etc" }),
  "prefix ends in a slash": file("g", "", { prefix: "etc/" }),
  "prefix in a GNU header": file("etc/g", "", { ...gnu, prefix: "other" }),
  "prefix in a header without magic": file("etc/g", "", { magic: "\0".repeat(8), prefix: "other" }),
  "name fills its field": file(`etc/${"n".repeat(96)}`),
  "name has bytes after NUL": file("etc/g\0rest"),
  "name of 256 bytes": [pax(["path", `etc/${"n".repeat(256)}`]), file("x")],
  "name of 255 bytes": [pax(["path", `etc/${"n".repeat(255)}`]), file("x")],

  "hard link to a name below": link("g", "etc/f"),
  "hard link to an absolute name": link("g", "/etc/f"),
  "hard link by a spelling": link("g", "./etc//f"),
  "hard link with a trailing slash": link("g", "etc/f/"),
  "hard link to nothing": link("g", "etc/none"),
  "hard link to a later entry": [link("g", "h"), file("h")],
  "hard link to itself": link("etc/f", "etc/f"),
  "hard link to itself, new": link("g", "g"),
  "hard link to a directory": link("g", "etc"),
  "hard link to the root": link("g", "/"),
  "hard link to a whited-out name": [file("etc/.wh.f"), link("g", "etc/f")],
  "hard link to a marker": [file("etc/.wh.f"), link("g", "etc/.wh.f")],
  "hard link to a symlink": [symlink("l", "etc/f"), link("g", "l")],
  "hard link through a symlink": [symlink("l", "etc"), link("g", "l/f")],
  "hard link to a device 0": [rawHeader({ name: "c", type: "3" }), link("g", "c")],
  "hard link over a directory": link("etc", "etc/f"),
  "hard link goes up": link("g", "etc/../etc/f"),
  "hard link named as a marker": link("etc/.wh.f", "etc/f"),
  "hard link named as a marker, to nothing": link("etc/.wh.f", "none"),
  "hard link with a size": [rawHeader({ name: "g", linkName: "etc/f", type: "1", size: octal(3) }), padded("abc")],
  "hard link with a size and no content": rawHeader({ name: "g", linkName: "etc/f", type: "1", size: octal(3) }),
  "hard link without target": link("g", ""),
  "hard link to a replaced file": [link("g", "etc/f"), file("etc/f", "new"), link("h", "etc/f")],

  "whiteout alone": file(".wh."),
  "whiteout alone in a directory": file("etc/.wh."),
  "whiteout of nothing": file("etc/.wh.none"),
  "whiteout of a directory": file(".wh.etc"),
  "whiteout of usr": file(".wh.usr"),
  "whiteout of usr and back": [file(".wh.usr"), dir("usr")],
  "whiteout with content": file("etc/.wh.f", "content"),
  "whiteout that is a directory": dir("etc/.wh.f"),
  "whiteout that is a symlink": symlink("etc/.wh.f", "x"),
  "whiteout that is a fifo": rawHeader({ name: "etc/.wh.f", type: "6" }),
  "whiteout after the addition": [file("etc/g"), file("etc/.wh.g")],
  "whiteout before the addition": [file("etc/.wh.f"), file("etc/f", "new")],
  "whiteout of a dot": file("etc/.wh.."),
  "whiteout of two dots": file("etc/.wh..."),
  "whiteout of a whiteout": file("etc/.wh..wh.f"),
  "whiteout in a missing directory": file("none/.wh.f"),
  "whiteout with another case": file("etc/.WH.f"),
  "whiteout as a directory above": [dir("etc/.wh.d"), file("etc/.wh.d/g")],
  "opaque marker": file("etc/.wh..wh..opq"),
  "opaque marker in the root": file(".wh..wh..opq"),
  "opaque marker after additions": [file("etc/g"), file("etc/.wh..wh..opq")],
  "opaque marker before additions": [file("etc/.wh..wh..opq"), file("etc/g")],
  "opaque marker, longer": file("etc/.wh..wh..opqx"),
  "opaque marker, plnk": file("etc/.wh..wh.plnk"),
  "overlay whiteout": rawHeader({ name: "etc/f", type: "3" }),
  "overlay whiteout of nothing": rawHeader({ name: "etc/none", type: "3" }),
  "overlay whiteout in the root": rawHeader({ name: "w", type: "3" }),
  "overlay opaque": [pax(["SCHILY.xattr.trusted.overlay.opaque", "y"]), dir("etc")],

  "file over a directory": file("etc"),
  "directory over a file": dir("etc/f"),
  "directory over a file and below": [dir("etc/f"), file("etc/f/g")],
  "directory again": dir("etc", { mode: "0000700\0" }),
  "same file twice": [file("g", "1"), file("g", "2")],
  "usr becomes a file": file("usr"),
  "usr becomes a symlink": symlink("usr", "etc"),
  "run is a file": file("run"),
  "run is a symlink": symlink("run", "etc"),
  "run has content": [dir("run"), file("run/g")],

  "type 7": file("etc/g", "contiguous", { type: "7" }),
  "type NUL": file("etc/g", "old", { type: "\0" }),
  "type NUL and a trailing slash": file("etc/d/", "", { type: "\0" }),
  "type NUL, no magic, trailing slash": file("etc/d/", "", { type: "\0", magic: "\0".repeat(8) }),
  "type 0, no magic, trailing slash": file("etc/d/", "", { magic: "\0".repeat(8) }),
  "type A": file("etc/g", "", { type: "A" }),
  "type A with content": file("etc/g", "content", { type: "A" }),
  "type 8": file("etc/g", "", { type: "8" }),
  "type D": file("etc/g", "", { type: "D" }),
  "type M": file("etc/g", "", { type: "M" }),
  "type N": file("etc/g", "", { type: "N" }),
  "type S": file("etc/g", "", { ...gnu, type: "S" }),
  "type S in a ustar header": file("etc/g", "", { type: "S" }),
  "type V": file("etc/g", "", { ...gnu, type: "V" }),
  "type X": [extension("X", record("path", "etc/h")), file("etc/g")],
  "type I": file("etc/g", "", { type: "I" }),
  "type x in a header without magic": [
    extension("x", record("path", "etc/h"), { magic: "\0".repeat(8) }),
    file("etc/g"),
  ],
  "type L in a ustar header": [extension("L", "etc/long\0"), file("etc/g")],
  "type L": [extension("L", "etc/long\0", gnu), file("etc/g", "", gnu)],
  "type L without NUL": [extension("L", "etc/long", gnu), file("etc/g", "", gnu)],
  "type L with bytes after NUL": [extension("L", "etc/long\0\0\0", gnu), file("etc/g", "", gnu)],
  "type L with a NUL inside": [extension("L", "etc/lo\0ng\0", gnu), file("etc/g", "", gnu)],
  "type L empty": [extension("L", "", gnu), file("etc/g", "", gnu)],
  "type L of one NUL": [extension("L", "\0", gnu), file("etc/g", "", gnu)],
  "type L twice": [extension("L", "etc/a\0", gnu), extension("L", "etc/b\0", gnu), file("etc/g", "", gnu)],
  "type L then PAX path": [extension("L", "etc/a\0", gnu), pax(["path", "etc/b"]), file("etc/g")],
  "PAX path then type L": [pax(["path", "etc/b"]), extension("L", "etc/a\0", gnu), file("etc/g")],
  "type K": [extension("K", "etc/long\0", gnu), symlink("etc/g", "short")],
  "type K for a file": [extension("K", "etc/long\0", gnu), file("etc/g")],
  "type L in a header without magic": [extension("L", "etc/long\0", { magic: "\0".repeat(8) }), file("etc/g")],
  "type L at the end": extension("L", "etc/long\0", gnu),

  "directory with a size": dir("etc/d", { size: octal(512) }),
  "directory with a size and content": [dir("etc/d", { size: octal(512) }), Buffer.alloc(512, 1)],
  "symlink with a size": [rawHeader({ name: "g", linkName: "x", type: "2", size: octal(3) }), padded("abc")],
  "fifo with a size": [rawHeader({ name: "g", type: "6", size: octal(3) }), padded("abc")],
  "device with a size": [rawHeader({ name: "g", type: "3", size: octal(3) }), padded("abc")],
  "directory with a PAX size": [pax(["size", "3"]), dir("etc/d")],
  "directory with a PAX size of 0": [pax(["size", "0"]), dir("etc/d", { size: octal(3) })],
  "symlink with an empty target": symlink("g", ""),
  "symlink of 1024 bytes": [pax(["linkpath", "t".repeat(1024)]), symlink("g", "x")],
  "symlink of 1025 bytes": [pax(["linkpath", "t".repeat(1025)]), symlink("g", "x")],
  "symlink of 4095 bytes": [pax(["linkpath", "t".repeat(4095)]), symlink("g", "x")],
  "symlink of 4096 bytes": [pax(["linkpath", "t".repeat(4096)]), symlink("g", "x")],
  "symlink target is not UTF-8": symlink("g", "\xff\xfe"),
  "symlink with a NUL in a PAX target": [pax(["linkpath", "a\0b"]), symlink("g", "x")],
  "device of large numbers": rawHeader({ name: "g", type: "3", devMajor: "0007777\0", devMinor: "3777777\0" }),
  "device of larger numbers": rawHeader({ name: "g", type: "3", devMajor: "0010000\0", devMinor: "4000000\0" }),
  "device of base-256 numbers": rawHeader({ name: "g", type: "3", devMajor: base256(128, 0, 0, 0, 0, 0, 1, 1) }),
  "device in a header without magic": rawHeader({ name: "g", type: "3", magic: "\0".repeat(8) }),
  "device in a GNU header": rawHeader({ name: "g", type: "4", ...gnu, devMajor: "0000010\0" }),
  "device without numbers": rawHeader({ name: "g", type: "4", devMajor: "\0".repeat(8), devMinor: "\0".repeat(8) }),
  "device that is malformed": rawHeader({ name: "g", type: "4", devMajor: "x" }),
  "file whose device numbers are malformed": file("g", "", { devMajor: "x" }),

  "mtime in base 256": file("g", "", { mtime: base256(128, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0) }),
  "mtime in base 256, negative": file("g", "", { mtime: base256(...Array<number>(12).fill(255)) }),
  "mtime in base 256, huge": file("g", "", { mtime: base256(128, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255) }),
  "mtime in base 256, larger": file("g", "", { mtime: base256(128, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0) }),
  "mtime of 2^63 - 1": file("g", "", { mtime: base256(128, 0, 0, 0, 127, 255, 255, 255, 255, 255, 255, 255) }),
  "mtime with a minus": file("g", "", { mtime: "-0000000001\0" }),
  "mtime with a plus": file("g", "", { mtime: "+0000000017\0" }),
  "mtime of a plus": file("g", "", { mtime: "+\0" }),
  "mtime with a plus and a blank": file("g", "", { mtime: "+ 17\0" }),
  "mtime of -2^63": file("g", "", { mtime: base256(255, 255, 255, 255, 128, 0, 0, 0, 0, 0, 0, 0) }),
  "mtime below -2^63": file("g", "", { mtime: base256(255, 255, 255, 254, 128, 0, 0, 0, 0, 0, 0, 0) }),
  "times before 1970": [dir("d", { mtime: base256(...Array<number>(11).fill(255), 0) }), file("d/g")],
  "mode negative": file("g", "", { mode: base256(...Array<number>(8).fill(255)) }),
  "mtime blank": file("g", "", { mtime: " ".repeat(12) }),
  "mtime empty": file("g", "", { mtime: "\0".repeat(12) }),
  "mtime without terminator": file("g", "", { mtime: "000000000017" }),
  "mtime with blanks": file("g", "", { mtime: "   17  \0xxxx" }),
  "mtime with a digit 8": file("g", "", { mtime: "00000000018\0" }),
  "uid in base 256": file("g", "", { uid: base256(128, 0, 0, 0, 0, 32, 0, 0) }),
  "uid of 2^32": file("g", "", { uid: base256(128, 0, 0, 1, 0, 0, 0, 5) }),
  "uid negative": file("g", "", { uid: base256(255, 255, 255, 255, 255, 255, 255, 254) }),
  "uid of PAX above 2^32": [pax(["uid", "4294967301"]), file("g")],
  "uid of PAX above 2^64": [pax(["uid", "18446744073709551616"]), file("g")],
  "uid of PAX, negative": [pax(["uid", "-1"]), file("g")],
  "uid of PAX, empty": [pax(["uid", ""]), file("g")],
  "uid malformed": file("g", "", { uid: "root" }),
  "uid malformed, PAX instead": [pax(["uid", "5"]), file("g", "", { uid: "root" })],
  "mode with type bits": file("g", "", { mode: "0100644\0" }),
  "mode of seven digits": file("g", "", { mode: "7777777\0" }),
  "mode in base 256": file("g", "", { mode: base256(128, 0, 0, 0, 0, 0, 1, 255) }),
  "mode empty": file("g", "", { mode: "\0".repeat(8) }),
  "size in base 256": [rawHeader({ name: "g", size: base256(128, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3) }), padded("abc")],
  "size without terminator": [rawHeader({ name: "g", size: "000000000003" }), padded("abc")],
  "size in base 256, negative": rawHeader({ name: "g", size: base256(...Array<number>(12).fill(255)) }),
  "checksum is wrong": file("g", "", { checksum: "0000001\0" }),
  "checksum is empty": file("g", "", { checksum: "\0".repeat(8) }),
  "checksum without blank": (() => {
    const header = file("g");
    header.write("\0\0", 154, "latin1");
    return header;
  })(),

  "PAX mtime with a fraction": [pax(["mtime", "5.25"]), file("g")],
  "PAX mtime of ten digits": [pax(["mtime", "5.1234567899"]), file("g")],
  "PAX mtime with an empty fraction": [pax(["mtime", "5."]), file("g")],
  "PAX mtime with an odd fraction": [pax(["mtime", "5.x"]), file("g")],
  "PAX mtime with a plus in the fraction": [pax(["mtime", "5.+5"]), file("g")],
  "PAX mtime with a minus in the fraction": [pax(["mtime", "5.-5"]), file("g")],
  "PAX mtime with two dots": [pax(["mtime", "5.5.5"]), file("g")],
  "PAX mtime with UTF-8 in the fraction": [pax(["mtime", "5.12345678\xc3\xa9"]), file("g")],
  "PAX mtime with UTF-8 at the start of the fraction": [pax(["mtime", "5.\xc3\xa9"]), file("g")],
  "PAX mtime with UTF-8 after nine digits": [pax(["mtime", "5.123456789\xc3\xa9"]), file("g")],
  "PAX mtime not UTF-8": [pax(["mtime", "5.\xff"]), file("g")],
  "PAX mtime without seconds": [pax(["mtime", ".5"]), file("g")],
  "PAX mtime negative": [pax(["mtime", "-5"]), file("g")],
  "PAX mtime negative, with a fraction": [pax(["mtime", "-5.5"]), file("g")],
  "PAX mtime with a plus": [pax(["mtime", "+5.5"]), file("g")],
  "PAX mtime with an exponent": [pax(["mtime", "5e3"]), file("g")],
  "PAX mtime with blanks": [pax(["mtime", " 5"]), file("g")],
  "PAX mtime empty": [pax(["mtime", ""]), file("g")],
  "PAX mtime of 2^63": [pax(["mtime", "9223372036854775808"]), file("g")],
  "PAX mtime of 2^64": [pax(["mtime", "18446744073709551616"]), file("g")],
  "PAX mtime twice": [pax(["mtime", "5.25"], ["mtime", "6.5"]), file("g")],
  "PAX mtime twice, fraction first": [pax(["mtime", "5.25"], ["mtime", "6"]), file("g")],
  "PAX mtime twice, fraction last": [pax(["mtime", "5"], ["mtime", "6.5"]), file("g")],
  "PAX mtime twice, odd first": [pax(["mtime", "5.x"], ["mtime", "6.5"]), file("g")],
  "PAX path empty": [pax(["path", ""]), file("g")],
  "PAX path twice": [pax(["path", "etc/a"], ["path", "etc/b"]), file("g")],
  "PAX path not UTF-8": [pax(["path", "etc/\xff"]), file("g")],
  "PAX path with a NUL": [pax(["path", "etc/a\0b"]), file("g")],
  "PAX path with a trailing NUL": [pax(["path", "etc/a\0"]), file("g")],
  "PAX path with a newline": [pax(["path", "etc/a\nb"]), file("g")],
  "PAX linkpath of a file": [pax(["linkpath", "etc/a"]), file("g")],
  "PAX linkpath empty": [pax(["linkpath", ""]), symlink("g", "target")],
  "PAX size of a file": [pax(["size", "3"]), rawHeader({ name: "g" }), padded("abc")],
  "PAX size smaller": [pax(["size", "3"]), rawHeader({ name: "g", size: octal(600) }), padded("abc")],
  "PAX size, the header's malformed": [pax(["size", "3"]), rawHeader({ name: "g", size: "x" }), padded("abc")],
  "PAX mtime, the header's malformed": [pax(["mtime", "3"]), file("g", "", { mtime: "x" })],
  "PAX header whose own mtime is malformed": [extension("x", record("path", "etc/a"), { mtime: "x" }), file("g")],
  "PAX header whose own mode is malformed": [extension("x", record("path", "etc/a"), { mode: "x" }), file("g")],
  "PAX size empty": [pax(["size", ""]), file("g")],
  "PAX size of 2^53": [pax(["size", "9007199254740992"]), file("g")],
  "PAX size of 2^64": [pax(["size", "18446744073709551616"]), file("g")],
  "PAX twice": [pax(["path", "etc/a"]), pax(["path", "etc/b"]), file("g")],
  "PAX empty": [extension("x", ""), file("g")],
  "PAX at the end": pax(["path", "etc/a"]),
  "PAX before a global header": [pax(["path", "etc/a"]), extension("g", record("path", "etc/b")), file("g")],
  "PAX with trailing NULs": [extension("x", `${record("path", "etc/a")}\0\0`), file("g")],
  "PAX with a trailing newline": [extension("x", `${record("path", "etc/a")}\n`), file("g")],
  "PAX length too long": [extension("x", "99 path=etc/a\n"), file("g")],
  "PAX length too short": [extension("x", "9 path=etc/a\n"), file("g")],
  "PAX length of 0": [extension("x", "0 path=etc/a\n"), file("g")],
  "PAX length with zeros": [extension("x", "0014 path=etc/a"), file("g")],
  "PAX length with leading zeros": [extension("x", "016 path=etc/a\n"), file("g")],
  "PAX length with a blank": [extension("x", " 15 path=etc/a\n"), file("g")],
  "PAX length with a plus": [extension("x", "+15 path=etc/a\n"), file("g")],
  "PAX length missing": [extension("x", " path=etc/a\n"), file("g")],
  "PAX length huge": [extension("x", "99999999999999999999999 path=etc/a\n"), file("g")],
  "PAX without equals": [extension("x", "8 path\n\n"), file("g")],
  "PAX without newline": [extension("x", "13 path=etc/a"), file("g")],
  "PAX with an empty keyword": [pax(["", "x"]), file("g")],
  "PAX keyword not UTF-8": [pax(["a\xff", "x"]), file("g")],
  "PAX keyword of a vendor": [pax(["LIBARCHIVE.creationtime", "5"], ["VENDOR.x", "\xff\0"]), file("g")],
  "PAX keyword with blanks": [pax([" path", "etc/a"]), file("g")],
  "PAX comment": [pax(["comment", "\xff"]), file("g")],
  "PAX hdrcharset": [pax(["hdrcharset", "BINARY"]), file("g")],
  "PAX charset unknown": [pax(["charset", "ISO-IR 8859 1 1998"]), file("g")],
  "PAX atime malformed": [pax(["atime", "x"], ["ctime", "y"]), file("g")],
  "PAX uname not UTF-8": [pax(["uname", "\xff"], ["gname", "\xff"]), file("g")],
  "PAX devmajor": [pax(["SCHILY.devmajor", "9"], ["SCHILY.devminor", "9"]), rawHeader({ name: "g", type: "3" })],
  "PAX GNU.sparse": [pax(["GNU.sparse.major", "1"], ["GNU.sparse.minor", "0"]), file("g")],
  "PAX GNU.sparse unknown": [pax(["GNU.sparse.other", "1"]), file("g")],
  "PAX GNU.sparse 0.0": [pax(["GNU.sparse.size", "5"], ["GNU.sparse.numblocks", "0"]), file("g")],
  "PAX xattr without name": [pax(["SCHILY.xattr.", "x"]), file("g")],
  "PAX xattr with a NUL value": [pax(["SCHILY.xattr.security.capability", "a\0b"]), file("g")],
  "PAX xattr empty": [pax(["SCHILY.xattr.security.capability", ""]), file("g")],
  "PAX xattr twice": [
    pax(["SCHILY.xattr.security.capability", "1"], ["SCHILY.xattr.security.capability", "2"]),
    file("g"),
  ],
  "PAX xattr with an equals sign": [pax(["SCHILY.xattr.security.capability", "a=b\n"]), file("g")],
  "PAX xattr of libarchive": [pax(["LIBARCHIVE.xattr.security.capability", "YQ=="]), file("g")],
  "PAX xattr of a hard link": [pax(["SCHILY.xattr.security.capability", "1"]), link("g", "etc/f")],
  "PAX xattr of a symlink": [pax(["SCHILY.xattr.security.capability", "1"]), symlink("g", "x")],
  "PAX xattr of 64 KiB": [pax(["SCHILY.xattr.security.capability", "x".repeat(65_535)]), file("g")],
  "PAX xattr above 64 KiB": [pax(["SCHILY.xattr.security.capability", "x".repeat(65_536)]), file("g")],
  "PAX xattr above 64 KiB, filtered": [pax(["SCHILY.xattr.user.a", "x".repeat(65_536)]), file("g")],
  "PAX ACL of star": [pax(["SCHILY.acl.access", "user::rw-"]), file("g")],
  "PAX of 1 MiB": [pax(["comment", "x".repeat((1 << 20) - 16)]), file("g")],
  "PAX above 1 MiB": [pax(["comment", "x".repeat(1 << 20)]), file("g")],
  "PAX size in base 256": [
    extension("x", record("path", "etc/a"), { size: base256(128, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 14) }),
    file("g"),
  ],
  "global header": [extension("g", record("path", "etc/a")), file("g")],
  "global header twice": [extension("g", record("path", "etc/a")), extension("g", record("uid", "7")), file("g")],
  "global header with mtime": [extension("g", record("mtime", "7.5")), file("g")],
  "global header, malformed": [extension("g", "junk"), file("g")],
  "global header, empty": [extension("g", ""), file("g")],
  "global header, large": [extension("g", record("comment", "x".repeat(1 << 20))), file("g")],
  "global header at the end": extension("g", record("path", "etc/a")),
  "global header, no end": extension("g", record("path", "etc/a")),
  "global header in a header without magic": [extension("g", "junk", { magic: "\0".repeat(8) }), file("g")],

  "magic with another version": file("g", "", { magic: "ustar\x00\x31\x31" }),
  "magic of GNU with another end": file("g", "", { magic: "ustar \0\0" }),
  "magic upper case": file("g", "", { magic: "USTAR\x0000" }),
  "lone zero block": [Buffer.alloc(512), file("g")],
  "lone zero block before a directory": [Buffer.alloc(512), dir("d")],
  "garbage between": [file("g"), Buffer.alloc(512, 0x41)],
  "padding is not zero": [rawHeader({ name: "g", size: octal(1) }), Buffer.alloc(512, 0x41)],
  "content of 64 bytes": file("g", "x".repeat(64)),
  "content of 65 bytes": file("g", "x".repeat(65)),
  "content of a block": file("g", "x".repeat(512)),
};

const end = TAR_END;
const zero = Buffer.alloc(512);

/** How an archive ends. */
const ENDS: Readonly<Record<string, readonly Uint8Array[]>> = {
  "end: no byte at all": [],
  "end: no zero block after a file": [file("g", "content")],
  "end: no zero block after an empty file": [file("g")],
  "end: no zero block after a directory": [dir("d")],
  "end: no zero block after a large file": [file("g", "x".repeat(2000))],
  "end: one zero block": [file("g"), zero],
  "end: one zero block after content": [file("g", "content"), zero],
  "end: one zero block alone": [zero],
  "end: two zero blocks alone": [end],
  "end: half a zero block": [file("g"), zero.subarray(256)],
  "end: one and a half zero blocks": [file("g"), zero, zero.subarray(256)],
  "end: zeros up to a record": [file("g"), end, Buffer.alloc(8192)],
  "end: garbage after": [file("g"), end, Buffer.from("garbage")],
  "end: entries after": [file("g"), end, file("h"), end],
  "end: large entries after": [file("g"), end, file("h", "x".repeat(3000)), end],
  "end: cut in a header": [file("g", "content"), file("h").subarray(0, 300)],
  "end: cut in content": [file("g", "x".repeat(2000)).subarray(0, 1500)],
  "end: cut in inline content": [rawHeader({ name: "g", size: octal(20) }), Buffer.from("short")],
  "end: cut in padding of inline content": [file("g", "content").subarray(0, 600)],
  "end: cut in padding": [file("g", "x".repeat(600)).subarray(0, 1200)],
  "end: cut before padding": [file("g", "x".repeat(600)).subarray(0, 1112)],
  "end: cut in a PAX header": [pax(["path", "etc/a"]).subarray(0, 600)],
  "end: after a PAX header": [pax(["path", "etc/a"])],
  "end: after a global header": [extension("g", record("path", "etc/a"))],
  "end: size of an exabyte": [rawHeader({ name: "g", size: base256(128, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0) })],
  "end: not a tar": [Buffer.from("hello")],
  "end: a block that is not a tar": [Buffer.alloc(512, 0x41)],
};

/** The layer below every odd one. */
export const BASE_LAYER: Uint8Array = Buffer.concat([dir("usr"), dir("etc"), file("etc/f", "below"), end]);

export interface OddLayer {
  readonly name: string;
  readonly tar: Uint8Array;
}

export const ODD_LAYERS: readonly OddLayer[] = [
  ...Object.entries(ENDED).map(([name, parts]) => ({
    name,
    tar: Buffer.concat([...(parts instanceof Uint8Array ? [parts] : parts), end]),
  })),
  ...Object.entries(ENDS).map(([name, parts]) => ({ name, tar: Buffer.concat(parts) })),
];
