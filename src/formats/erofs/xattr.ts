/** Extended attributes as an image stores them: split names, and which entries are shared. */
import { type ByteString, byteStringToBytes, showByteString } from "../../lib/bytes/byte-string.ts";
import { FormatError } from "../../lib/errors.ts";
import { XATTR_ENTRY_SIZE, XATTR_FILTER_SEED, XATTR_PREFIXES } from "./layout.ts";
import { xxh32 } from "./xxh32.ts";

/** Format limits: the width of the fields of an entry. */
const SUFFIX_MAX = 255;
const VALUE_MAX = 65_535;

const LUSTRE_INDEX = 5;
const ACL_INDEXES: readonly number[] = [2, 3];

export interface XattrName {
  readonly full: ByteString;
  /** Place of the prefix in XATTR_PREFIXES. */
  readonly index: number;
  /** What an entry stores of the name; may be empty. */
  readonly suffix: ByteString;
  /** The bit that the name clears in an inode's name filter. */
  readonly filterBit: number;
  /** Stored with the index of a POSIX ACL. */
  readonly isAcl: boolean;
}

/**
 * How values are written that all say the same about something shorter, such as a digest: an image has hundreds of
 * thousands of them, and as strings they cost more than all the rest.
 */
export interface ValueForm {
  /** Bytes of every value. */
  readonly size: number;
  /** Writes the value; those of two sources are in the order of the sources. */
  put(source: Uint8Array, into: Uint8Array, at: number): void;
}

/** One name and value of an image. Equal ones are one object: that is how sharing is found. */
export interface Xattr {
  readonly name: XattrName;
  /** The value, or with a form what the form makes it of. */
  readonly value: ByteString | Uint8Array;
  readonly form: ValueForm | undefined;
  readonly valueSize: number;
  /** Bytes of the entry with its padding. */
  readonly size: number;
  /** How many list entries have it, and its place in the shared table; both set when the image is planned. */
  uses: number;
  sharedOffset: number;
}

/** The names and values of one image. */
export class XattrPool {
  readonly #lustrePrefix: boolean;
  readonly #names = new Map<ByteString, { readonly name: XattrName; readonly values: Map<ByteString, Xattr> }>();

  /** @param options whether names that start with `lustre.` use that prefix or none */
  constructor({ lustrePrefix }: { readonly lustrePrefix: boolean }) {
    this.#lustrePrefix = lustrePrefix;
  }

  /**
   * @throws {FormatError} `erofs.xattr.name-length`, `erofs.xattr.value-size`
   */
  get(full: ByteString, value: ByteString): Xattr {
    const { name, values } = this.#name(full);
    const known = values.get(value);
    if (known !== undefined) return known;
    const added = makeXattr(name, value);
    values.set(value, added);
    return added;
  }

  /** An entry whose value has a form; the caller keeps equal ones together. */
  formed(full: ByteString, source: Uint8Array, form: ValueForm): Xattr {
    return makeXattr(this.#name(full).name, source, form);
  }

  #name(full: ByteString): { readonly name: XattrName; readonly values: Map<ByteString, Xattr> } {
    let known = this.#names.get(full);
    if (known === undefined) {
      known = { name: splitXattrName(full, this.#lustrePrefix), values: new Map() };
      this.#names.set(full, known);
    }
    return known;
  }
}

function makeXattr(name: XattrName, value: ByteString | Uint8Array, form?: ValueForm): Xattr {
  const valueSize = form === undefined ? value.length : form.size;
  if (valueSize > VALUE_MAX) {
    throw new FormatError("erofs.xattr.value-size", {
      what: `value of xattr "${showByteString(name.full)}"`,
      expected: `at most ${VALUE_MAX} bytes`,
      found: String(valueSize),
    });
  }
  const size = (XATTR_ENTRY_SIZE + name.suffix.length + valueSize + 3) & ~3;
  return { name, value, form, valueSize, size, uses: 0, sharedOffset: 0 };
}

/** Writes the value of an xattr. */
export function putValue({ value, form }: Xattr, into: Buffer, at: number): void {
  if (typeof value === "string") into.write(value, at, "latin1");
  else form?.put(value, into, at);
}

function splitXattrName(full: ByteString, lustrePrefix: boolean): XattrName {
  // No prefix starts another one, so the order of the search does not matter.
  const found = XATTR_PREFIXES.findIndex((prefix, at) => at > 0 && full.startsWith(prefix));
  const index = found === -1 || (found === LUSTRE_INDEX && !lustrePrefix) ? 0 : found;
  const suffix = full.slice((XATTR_PREFIXES[index] as string).length) as ByteString;
  if (full.length === 0 || suffix.length > SUFFIX_MAX) {
    throw new FormatError("erofs.xattr.name-length", {
      what: `xattr name "${showByteString(full.slice(0, 80) as ByteString)}"`,
      expected: `1 to ${SUFFIX_MAX} bytes after its prefix`,
      found: String(suffix.length),
    });
  }
  const filterBit = 1 << (xxh32(byteStringToBytes(suffix), XATTR_FILTER_SEED + index) % 32);
  return { full, index, suffix, filterBit, isAcl: ACL_INDEXES.includes(index) };
}

function compareValues(a: Xattr, b: Xattr): number {
  if (a.form === b.form && typeof a.value !== "string" && typeof b.value !== "string") {
    return Buffer.compare(a.value, b.value);
  }
  const [left, right] = [textOf(a), textOf(b)];
  return left < right ? -1 : left > right ? 1 : 0;
}

function textOf(xattr: Xattr): string {
  if (typeof xattr.value === "string") return xattr.value;
  const value = Buffer.alloc(xattr.valueSize);
  putValue(xattr, value, 0);
  return value.toString("latin1");
}

/** Order of V0 and V1: full name, then length of the value, then the value. */
export function compareByFullName(a: Xattr, b: Xattr): number {
  if (a.name !== b.name) return a.name.full < b.name.full ? -1 : 1;
  return a.valueSize - b.valueSize || compareValues(a, b);
}

/** Order of V2's shared table: prefix, rest of the name, value. */
export function compareByStoredName(a: Xattr, b: Xattr): number {
  if (a.name !== b.name) return a.name.index - b.name.index || (a.name.suffix < b.name.suffix ? -1 : 1);
  return compareValues(a, b);
}
