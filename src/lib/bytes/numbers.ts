import { FormatError } from "../errors.ts";

/** Rounds `value` up to a multiple of `to` (any positive integer). */
export function alignUp(value: number, to: number): number {
  return Math.ceil(value / to) * to;
}

/** The one crossing from 64-bit fields to `number`. */
export function toSafeNumber(value: bigint, what: string, code: string): number {
  if (value < 0n || value > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new FormatError(code, { what, expected: "0 to 2^53 - 1", found: String(value) });
  }
  return Number(value);
}

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}

/** @throws {FormatError} when `text` is not an even number of lower-case hex digits */
export function fromHex(text: string, what: string, code: string): Uint8Array {
  if (text.length % 2 !== 0 || !/^[0-9a-f]*$/.test(text)) {
    throw new FormatError(code, {
      what,
      expected: "an even number of lower-case hex digits",
      found: JSON.stringify(text.slice(0, 80)),
    });
  }
  return Buffer.from(text, "hex");
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/** Human size: `1.5 GiB`, `640 KiB`, `12 B`. */
export function showSize(size: number | bigint): string {
  let value = Number(size);
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (value < 1024) return unit === "B" ? `${value} B` : `${value.toFixed(1)} ${unit}`;
    value /= 1024;
  }
  return `${value.toFixed(1)} TiB`;
}
