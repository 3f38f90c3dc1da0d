import { type ByteString, bytesToByteString } from "../../lib/bytes/byte-string.ts";
import { Cursor } from "../../lib/bytes/cursor.ts";
import { toSafeNumber } from "../../lib/bytes/numbers.ts";
import { FormatError } from "../../lib/errors.ts";

export interface RpmPackage {
  readonly name: string;
  readonly epoch?: number;
  readonly version: string;
  readonly release: string;
  /** Empty for keys, which the database holds as packages named `gpg-pubkey`. */
  readonly architecture: string;
  /** Bytes of all files. */
  readonly installedSize?: number;
}

/** Tags of rpm's rpmtag.h, those read here. */
const TAG = {
  NAME: 1000,
  VERSION: 1001,
  RELEASE: 1002,
  EPOCH: 1003,
  SIZE: 1009,
  ARCH: 1022,
  FILEFLAGS: 1037,
  SOURCERPM: 1044,
  DIRINDEXES: 1116,
  BASENAMES: 1117,
  DIRNAMES: 1118,
  LONGSIZE: 5009,
} as const;
type Tag = keyof typeof TAG;

/** rpmTagType of rpmtag.h. */
const TYPE = { INT32: 4, INT64: 5, STRING: 6, STRING_ARRAY: 8 } as const;

/** rpmfileAttrs of rpmfiles.h: the package owns the name, and whoever runs it makes the file. */
const RPMFILE_GHOST = 1 << 6;

const INDEX_ENTRY_SIZE = 16;
/** Format rules: rpm's hdrchkTags and hdrchkData (lib/header.c). */
const MAX_TAGS = 0xffff;
const MAX_DATA_SIZE = 0x0fffffff;
/** Safety limit: PATH_MAX of Linux. One long directory name could otherwise stand before every file name. */
const MAX_PATH_SIZE = 4096;

/**
 * Reads who a package is from its header blob, as the database stores it: without the magic that a package file has.
 *
 * @throws {FormatError} `rpmdb.header.truncated`, `rpmdb.header.counts`, `rpmdb.header.tag`, `rpmdb.header.tag-missing`
 * @see rpm docs/manual/format_header.md
 */
export function parseRpmHeader(blob: Uint8Array, what = "RPM header"): RpmPackage {
  const tags = readTags(blob, what);
  const epoch = tags.number("EPOCH");
  const size = tags.number("LONGSIZE") ?? tags.number("SIZE");
  return {
    name: tags.requireText("NAME"),
    ...(epoch === undefined ? {} : { epoch }),
    version: tags.requireText("VERSION"),
    release: tags.requireText("RELEASE"),
    architecture: tags.text("ARCH") ?? "",
    ...(size === undefined ? {} : { installedSize: size }),
  };
}

/** Which files a package has, and what it was built from. */
export interface RpmFileList {
  readonly name: string;
  /** Name of the source package; the package's own where the database has none. */
  readonly source: string;
  /** Absolute. Of files that the package brings: not of those that it only claims (`%ghost`). */
  readonly paths: readonly ByteString[];
}

/**
 * Reads the files of a package from its header blob.
 *
 * @throws {FormatError} as `parseRpmHeader`, and `rpmdb.header.files` when the lists do not fit each other
 */
export function parseRpmFileList(blob: Uint8Array, what = "RPM header"): RpmFileList {
  const tags = readTags(blob, what);
  const name = tags.requireText("NAME");
  const directories = tags.texts("DIRNAMES");
  const indexes = tags.numbers("DIRINDEXES");
  const names = tags.texts("BASENAMES");
  if (names.length !== indexes.length) {
    const found = `${indexes.length} directory indexes`;
    throw new FormatError("rpmdb.header.files", { what, expected: `${names.length}, one a file`, found });
  }
  const flags = tags.numbers("FILEFLAGS");
  const paths = names.flatMap((base, file) => {
    if (((flags[file] ?? 0) & RPMFILE_GHOST) !== 0) return [];
    const directory = directories[indexes[file] as number];
    if (directory === undefined) {
      const expected = `an index below ${directories.length}`;
      throw new FormatError("rpmdb.header.files", { what, expected, found: `${indexes[file]}` });
    }
    if (directory.length + base.length <= MAX_PATH_SIZE) return [`${directory}${base}` as ByteString];
    const found = `${directory.length + base.length}`;
    throw new FormatError("rpmdb.header.files", { what, expected: `paths of at most ${MAX_PATH_SIZE} bytes`, found });
  });
  // NAME-VERSION-RELEASE.src.rpm: neither version nor release has a hyphen.
  const source = tags.text("SOURCERPM")?.replace(/-[^-]*-[^-]*$/, "");
  return { name, source: source || name, paths };
}

function readTags(blob: Uint8Array, what: string): TagReader {
  const cursor = new Cursor(blob, what, "rpmdb.header.truncated");
  const tagCount = cursor.u32be("index length");
  const dataSize = cursor.u32be("data length");
  if (tagCount > MAX_TAGS || dataSize > MAX_DATA_SIZE) {
    const expected = `at most ${MAX_TAGS} tags and ${MAX_DATA_SIZE} bytes`;
    throw new FormatError("rpmdb.header.counts", { what, expected, found: `${tagCount} and ${dataSize}` });
  }
  const index = cursor.bytes(tagCount * INDEX_ENTRY_SIZE, "index");
  return new TagReader(index, cursor.bytes(dataSize, "data"), what);
}

interface Place {
  readonly type: number;
  readonly offset: number;
  readonly count: number;
}

const NAMES = new Map(Object.entries(TAG).map(([name, tag]) => [tag as number, name as Tag]));

class TagReader {
  readonly #data: Uint8Array;
  readonly #what: string;
  readonly #places = new Map<Tag, Place>();

  constructor(index: Uint8Array, data: Uint8Array, what: string) {
    const view = new DataView(index.buffer, index.byteOffset, index.byteLength);
    this.#data = data;
    this.#what = what;
    for (let at = 0; at < index.length; at += INDEX_ENTRY_SIZE) {
      const name = NAMES.get(view.getUint32(at));
      const count = view.getUint32(at + 12);
      if (name === undefined || count === 0) continue;
      this.#places.set(name, { type: view.getUint32(at + 4), offset: view.getUint32(at + 8), count });
    }
  }

  text(tag: Tag): string | undefined {
    const place = this.#places.get(tag);
    if (place === undefined) return undefined;
    const end = this.#data.indexOf(0, place.offset);
    if (place.type !== TYPE.STRING || end === -1) throw this.#refuse(tag, "a string with its end", place);
    return new TextDecoder().decode(this.#data.subarray(place.offset, end));
  }

  requireText(tag: Tag): string {
    const text = this.text(tag);
    if (text !== undefined) return text;
    const mismatch = { what: this.#what, expected: `tag ${tag} (${TAG[tag]})`, found: "none" };
    throw new FormatError("rpmdb.header.tag-missing", mismatch);
  }

  number(tag: Tag): number | undefined {
    const place = this.#places.get(tag);
    if (place === undefined) return undefined;
    const cursor = new Cursor(this.#data, `${this.#what}: tag ${tag}`, "rpmdb.header.truncated");
    cursor.skip(place.offset, "offset");
    if (place.type === TYPE.INT32) return cursor.u32be("value");
    if (place.type === TYPE.INT64) return toSafeNumber(cursor.u64be("value"), tag, "rpmdb.header.tag");
    throw this.#refuse(tag, "a 32-bit or 64-bit number", place);
  }

  /** The strings of an array, one after another. */
  texts(tag: Tag): ByteString[] {
    const place = this.#places.get(tag);
    if (place === undefined) return [];
    if (place.type !== TYPE.STRING_ARRAY) throw this.#refuse(tag, "an array of strings", place);
    const texts: ByteString[] = [];
    for (let at = place.offset; texts.length < place.count; ) {
      const end = this.#data.indexOf(0, at);
      if (end === -1) throw this.#refuse(tag, `${place.count} strings with their ends`, place);
      texts.push(bytesToByteString(this.#data.subarray(at, end)));
      at = end + 1;
    }
    return texts;
  }

  numbers(tag: Tag): number[] {
    const place = this.#places.get(tag);
    if (place === undefined) return [];
    if (place.type !== TYPE.INT32) throw this.#refuse(tag, "an array of 32-bit numbers", place);
    const cursor = new Cursor(this.#data, `${this.#what}: tag ${tag}`, "rpmdb.header.truncated");
    cursor.skip(place.offset, "offset");
    const numbers = new Cursor(cursor.bytes(4 * place.count, "values"), this.#what, "rpmdb.header.truncated");
    return Array.from({ length: place.count }, () => numbers.u32be("value"));
  }

  #refuse(tag: Tag, expected: string, { offset, type }: Place): FormatError {
    const what = `${this.#what}: tag ${tag}`;
    return new FormatError("rpmdb.header.tag", { what, expected, found: `type ${type} at byte ${offset} of the data` });
  }
}
