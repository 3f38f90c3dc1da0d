import { contextTag, TAG } from "./layout.ts";

/** X.690 §10.1: the shortest definite form. */
export function length(size: number): Uint8Array {
  if (size < 0x80) return Uint8Array.of(size);
  const octets: number[] = [];
  for (let rest = size; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest % 256);
  return Uint8Array.of(0x80 | octets.length, ...octets);
}

/** Any tag around the concatenation of `parts`. */
export function tagged(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const size = parts.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([Uint8Array.of(tag), length(size), ...parts]);
}

export function sequence(...parts: readonly Uint8Array[]): Uint8Array {
  return tagged(TAG.SEQUENCE, ...parts);
}

/** Sorted by encoded bytes (X.690 §11.6), so the order of `parts` does not matter. */
export function setOf(...parts: readonly Uint8Array[]): Uint8Array {
  return tagged(TAG.SET, ...parts.toSorted((a, b) => Buffer.compare(a, b)));
}

/** EXPLICIT `[number]` around values, or IMPLICIT over the content of a constructed one. */
export function context(number: number, ...parts: readonly Uint8Array[]): Uint8Array {
  return tagged(contextTag(number), ...parts);
}

/** IMPLICIT `[number]` of a primitive type. */
export function implicit(number: number, content: Uint8Array): Uint8Array {
  return tagged(contextTag(number, "primitive"), content);
}

/** Two's complement in the fewest bytes (X.690 §8.3). */
export function integer(value: bigint | number): Uint8Array {
  const wide = BigInt(value);
  // 8 bits carry -128 to 127: one bit more than the magnitude needs, rounded up to bytes.
  const magnitude = wide < 0n ? -wide - 1n : wide;
  const bits = magnitude === 0n ? 0 : magnitude.toString(2).length;
  const size = Math.floor(bits / 8) + 1;
  const hex = BigInt.asUintN(size * 8, wide)
    .toString(16)
    .padStart(size * 2, "0");
  return tagged(TAG.INTEGER, Buffer.from(hex, "hex"));
}

/** @throws {RangeError} when `dotted` is not an object identifier */
export function oid(dotted: string): Uint8Array {
  const [root = -1, second = -1, ...rest] = dotted.split(".").map(Number);
  const arcs = [root * 40 + second, ...rest];
  const allowed = root >= 0 && root <= 2 && second >= 0 && (root === 2 || second < 40);
  if (!allowed || !arcs.every((arc) => Number.isSafeInteger(arc) && arc >= 0)) {
    throw new RangeError(`"${dotted}" is not an object identifier`);
  }
  return tagged(TAG.OBJECT_IDENTIFIER, ...arcs.map(base128));
}

function base128(arc: number): Uint8Array {
  const bytes = [arc % 128];
  for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128)) bytes.unshift(0x80 | (rest % 128));
  return Uint8Array.from(bytes);
}

export function octetString(content: Uint8Array): Uint8Array {
  return tagged(TAG.OCTET_STRING, content);
}

/** @param unusedBits trailing bits of the last byte that do not count; they must be zero */
export function bitString(bytes: Uint8Array, unusedBits = 0): Uint8Array {
  return tagged(TAG.BIT_STRING, Uint8Array.of(unusedBits), bytes);
}

export function boolean(value: boolean): Uint8Array {
  return tagged(TAG.BOOLEAN, Uint8Array.of(value ? 0xff : 0x00));
}

export function nullValue(): Uint8Array {
  return tagged(TAG.NULL);
}

export function utf8String(text: string): Uint8Array {
  return tagged(TAG.UTF8_STRING, Buffer.from(text, "utf8"));
}

/** @throws {RangeError} when `text` has a character outside X.680 Table 10 */
export function printableString(text: string): Uint8Array {
  if (!/^[A-Za-z0-9 '()+,\-./:=?]*$/.test(text)) throw new RangeError("text is not a PrintableString");
  return tagged(TAG.PRINTABLE_STRING, Buffer.from(text, "latin1"));
}

/** UTCTime up to 2049, GeneralizedTime from 2050 (RFC 5280 §4.1.2.5, RFC 5652 §11.3); fractions are cut. */
export function time(date: Date): Uint8Array {
  const year = date.getUTCFullYear();
  if (!(year >= 1950 && year <= 9999)) throw new RangeError(`year ${year} is outside 1950 to 9999`);
  const digits = `${date.toISOString().slice(0, 19).replaceAll(/[-T:]/g, "")}Z`;
  return year < 2050
    ? tagged(TAG.UTC_TIME, Buffer.from(digits.slice(2), "latin1"))
    : tagged(TAG.GENERALIZED_TIME, Buffer.from(digits, "latin1"));
}
