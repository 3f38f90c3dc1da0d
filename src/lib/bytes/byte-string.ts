/**
 * Bytes as a string of code units 0..255 ("latin1").
 *
 * File names, link targets and extended attributes are arbitrary bytes. Kept in this form they are usable as map
 * keys, V8 stores them one byte a character, and `<` compares them as unsigned bytes, shorter first on a common
 * prefix: the order every format here wants.
 */
declare const checked: unique symbol;
export type ByteString = string & { readonly [checked]: "ByteString" };

export function bytesToByteString(bytes: Uint8Array): ByteString {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1") as ByteString;
}

export function byteStringToBytes(text: ByteString): Uint8Array {
  return Buffer.from(text, "latin1");
}

/** UTF-8 encodes ordinary text into a byte string: `byteString("größe")` has seven units. */
export function byteString(text: string): ByteString {
  return Buffer.from(text, "utf8").toString("latin1") as ByteString;
}

/** The text for people: UTF-8 where it is valid, every other byte and control character as `\xNN`. */
export function showByteString(text: ByteString): string {
  const utf8 = Buffer.from(text, "latin1").toString("utf8");
  const printable = utf8.includes("\ufffd") ? text.replaceAll(/[\x80-\xff]/g, escapeUnit) : utf8;
  // oxlint-disable-next-line no-control-regex -- control characters are what is being removed
  return printable.replaceAll(/[\x00-\x1f\x7f\u0080-\u009f]/g, escapeUnit);
}

function escapeUnit(unit: string): string {
  return `\\x${unit.charCodeAt(0).toString(16).padStart(2, "0")}`;
}

/** Sorts by unsigned bytes. */
export function compareByteStrings(a: ByteString, b: ByteString): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
