import type { ByteString } from "../../lib/bytes/byte-string.ts";
import { UnsupportedError } from "../../lib/errors.ts";
import type { ImageBytes } from "./image-bytes.ts";
import { XATTR_ENTRY, XATTR_ENTRY_SIZE, XATTR_LONG_PREFIX, XATTR_PREFIXES } from "./layout.ts";
import { refuse } from "./refuse.ts";

export interface StoredXattr {
  readonly name: ByteString;
  readonly value: ByteString;
}

/** @param end what the entry must not pass */
export function readXattr(
  image: ImageBytes,
  at: number,
  end: number,
): { readonly xattr: StoredXattr; readonly end: number } {
  image.require(at, XATTR_ENTRY_SIZE, "xattr entry", end);
  const nameLength = image.get(at, XATTR_ENTRY.nameLength);
  const index = image.get(at, XATTR_ENTRY.nameIndex);
  const valueSize = image.get(at, XATTR_ENTRY.valueSize);
  if ((index & XATTR_LONG_PREFIX) !== 0) {
    throw new UnsupportedError(
      "erofs.xattr.long-prefix",
      "EROFS xattr with a long name prefix: only the built-in ones are read",
    );
  }
  const prefix = XATTR_PREFIXES[index];
  const nameAt = at + XATTR_ENTRY_SIZE;
  image.require(nameAt, nameLength + valueSize, "xattr entry", end);
  if (prefix === undefined || prefix.length + nameLength === 0) {
    throw refuse("erofs.xattr.name", "xattr entry: name index", at + 1, "0 to 6, with a name", String(index));
  }
  const valueAt = nameAt + nameLength;
  const name = (prefix + image.string(nameAt, valueAt)) as ByteString;
  const value = image.string(valueAt, valueAt + valueSize);
  return { xattr: { name, value }, end: valueAt + valueSize };
}
