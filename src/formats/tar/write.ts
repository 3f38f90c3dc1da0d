import { isUtf8 } from "node:buffer";
import { type ByteString, byteString, byteStringToBytes } from "../../lib/bytes/byte-string.ts";
import { alignUp } from "../../lib/bytes/numbers.ts";
import { quote, UnsupportedError } from "../../lib/errors.ts";
import type { TarEntry } from "./entry.ts";
import { PAX_XATTR_PREFIX, TAR_BLOCK_SIZE, TAR_FIELD, TAR_TYPE, type TarKind, USTAR_MAGIC } from "./layout.ts";
import { encodePax, paxTime } from "./pax.ts";

/** The two zero blocks that end an archive. */
export const TAR_END: Uint8Array = new Uint8Array(2 * TAR_BLOCK_SIZE);

const NON_ASCII = /[\x80-\xff]/g;

/** Largest value of an octal field: its last byte is a NUL. */
const octalMax = (field: keyof typeof TAR_FIELD): number => 8 ** (TAR_FIELD[field][1] - 1) - 1;

/** The first type value of each kind in the table: `0` for a file. */
const TYPE_OF = Object.fromEntries(
  Object.entries(TAR_TYPE)
    .reverse()
    .map(([type, kind]) => [kind, type]),
) as Record<TarKind, string>;

/**
 * Encodes everything of an entry but its content: a ustar header, with a PAX header before it only where ustar has no
 * room (long or non-ASCII names, large numbers, fractions of a second, extended attributes).
 *
 * The same entry gives the same bytes; user and group names stay empty. The path is written as it is: by custom a
 * directory's ends in a slash. After a file's header come its content and `tarPadding(size)`.
 *
 * @throws {RangeError} when a device number has more than 21 bits
 * @throws {UnsupportedError} `tar.mtime.unsupported` for a fraction of a second before 1970
 * @throws {UnsupportedError} `tar.xattr.name-unsupported` for a name with `=` or that is not UTF-8
 */
export function encodeTarEntry(entry: TarEntry): Uint8Array {
  const size = entry.kind === "file" ? entry.size : 0;
  const target = "target" in entry ? entry.target : ("" as ByteString);
  const records = paxRecordsFor(entry, size, target);
  const header = encodeHeader(TYPE_OF[entry.kind], { ...entry, size, target });
  if (records.length === 0) return header;
  const data = encodePax(records);
  const name = `PaxHeaders/${entry.path.replace(/\/+$/, "").split("/").at(-1)}` as ByteString;
  const meta = { path: name, mode: 0o644, uid: 0, gid: 0, mtimeSec: 0n, size: data.length, target: "" as ByteString };
  const out = new Uint8Array(TAR_BLOCK_SIZE + alignUp(data.length, TAR_BLOCK_SIZE) + TAR_BLOCK_SIZE);
  out.set(encodeHeader("x", meta));
  out.set(data, TAR_BLOCK_SIZE);
  out.set(header, out.length - TAR_BLOCK_SIZE);
  return out;
}

/** Zeros from the end of content of this size up to the next block. */
export function tarPadding(size: number): Uint8Array {
  return TAR_END.subarray(0, alignUp(size, TAR_BLOCK_SIZE) - size);
}

function paxRecordsFor(entry: TarEntry, size: number, target: ByteString): [string, ByteString][] {
  const records: [string, ByteString][] = [];
  const name = (keyword: string, field: keyof typeof TAR_FIELD, value: ByteString): void => {
    if (value.length > TAR_FIELD[field][1] || value.search(NON_ASCII) !== -1) records.push([keyword, value]);
  };
  const number = (field: "size" | "uid" | "gid", value: number): void => {
    if (value > octalMax(field)) records.push([field, byteString(String(value))]);
  };
  name("path", "name", entry.path);
  name("linkpath", "linkName", target);
  number("size", size);
  number("uid", entry.uid);
  number("gid", entry.gid);
  if (entry.mtimeSec < 0n && entry.mtimeNsec !== 0) {
    throw new UnsupportedError(
      "tar.mtime.unsupported",
      `${quote(entry.path)}: a time before 1970 with a fraction of a second has no place in a PAX record`,
    );
  }
  if (entry.mtimeNsec !== 0 || entry.mtimeSec > octalMax("mtime")) {
    records.push(["mtime", paxTime(entry.mtimeSec, entry.mtimeNsec)]);
  }
  for (const [xattr, value] of [...entry.xattrs].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (xattr.includes("=") || !isUtf8(byteStringToBytes(xattr))) {
      throw new UnsupportedError(
        "tar.xattr.name-unsupported",
        `extended attribute ${quote(xattr)} has no place in a PAX record`,
      );
    }
    records.push([PAX_XATTR_PREFIX + xattr, value]);
  }
  return records;
}

interface HeaderValues {
  readonly path: ByteString;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeSec: bigint;
  readonly size: number;
  readonly target: ByteString;
  readonly major?: number;
  readonly minor?: number;
}

/** What does not fit is cut (names) or left 0 (numbers): then a PAX record has the value. */
function encodeHeader(type: string, values: HeaderValues): Uint8Array {
  const header = Buffer.alloc(TAR_BLOCK_SIZE);
  const text = (field: keyof typeof TAR_FIELD, value: string): void => {
    const [offset, size] = TAR_FIELD[field];
    header.write(value, offset, size, "latin1");
  };
  const octal = (field: keyof typeof TAR_FIELD, value: number): void => {
    text(field, (value > octalMax(field) ? 0 : value).toString(8).padStart(TAR_FIELD[field][1] - 1, "0"));
  };
  text("name", values.path.replaceAll(NON_ASCII, "_"));
  octal("mode", values.mode & 0o7777);
  octal("uid", values.uid);
  octal("gid", values.gid);
  octal("size", values.size);
  if (values.mtimeSec < 0n) putBase256(header, "mtime", values.mtimeSec);
  else octal("mtime", Number(values.mtimeSec));
  text("type", type);
  text("linkName", values.target.replaceAll(NON_ASCII, "_"));
  text("magic", USTAR_MAGIC);
  for (const [field, value] of [
    ["devMajor", values.major ?? 0],
    ["devMinor", values.minor ?? 0],
  ] as const) {
    if (value > octalMax(field)) throw new RangeError(`device number part ${value} does not fit a tar header`);
    octal(field, value);
  }
  // POSIX has the checksum as six digits, NUL, space; it counts itself as spaces.
  text("checksum", " ".repeat(8));
  const sum = header.reduce((total, byte) => total + byte, 0);
  text("checksum", `${sum.toString(8).padStart(6, "0")}\0 `);
  return header;
}

/** GNU's form for numbers that octal digits cannot give: two's complement, big-endian, over the whole field. */
function putBase256(header: Buffer, field: keyof typeof TAR_FIELD, value: bigint): void {
  const [from, size] = TAR_FIELD[field];
  header.fill(0xff, from, from + size);
  header.writeBigInt64BE(value, from + size - 8);
}
