/**
 * CRC-32C (Castagnoli): seeds chain, and nothing is inverted at either end, as ext4 uses it.
 *
 * Eight tables, eight bytes a step ("slicing by 8").
 *
 * @see RFC 3720 appendix B.4 for the polynomial
 */
const POLYNOMIAL = 0x82f63b78; // reflected

const TABLES: readonly Uint32Array[] = makeTables();

function makeTables(): Uint32Array[] {
  const tables = Array.from({ length: 8 }, () => new Uint32Array(256));
  const [first] = tables as [Uint32Array];
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
    first[byte] = crc;
  }
  for (let byte = 0; byte < 256; byte++) {
    let crc = first[byte] as number;
    for (const table of tables.slice(1)) {
      crc = (crc >>> 8) ^ (first[crc & 0xff] as number);
      table[byte] = crc;
    }
  }
  return tables;
}

const [T0, T1, T2, T3, T4, T5, T6, T7] = TABLES as [
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
];

/** Start value of every chain. */
export const CRC32C_START = 0xffff_ffff;

/**
 * Continues a checksum over `bytes`.
 *
 * @param seed `CRC32C_START` or the result of a call before
 */
export function crc32c(seed: number, bytes: Uint8Array): number {
  let crc = seed;
  let at = 0;
  // The assertions cost nothing: the index is in range by the loop and the masks.
  for (const end = bytes.length - 7; at < end; at += 8) {
    crc ^=
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24);
    crc =
      (T7[crc & 0xff] as number) ^
      (T6[(crc >>> 8) & 0xff] as number) ^
      (T5[(crc >>> 16) & 0xff] as number) ^
      (T4[crc >>> 24] as number) ^
      (T3[bytes[at + 4] as number] as number) ^
      (T2[bytes[at + 5] as number] as number) ^
      (T1[bytes[at + 6] as number] as number) ^
      (T0[bytes[at + 7] as number] as number);
  }
  for (; at < bytes.length; at++) crc = (crc >>> 8) ^ (T0[(crc ^ (bytes[at] as number)) & 0xff] as number);
  return crc >>> 0;
}

/** Continues a checksum over one little-endian 32-bit number. */
export function crc32cU32(seed: number, value: number): number {
  return crc32c(seed, Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24));
}

/** The checksum of `bytes` alone, inverted at its end, as RFC 3720 and most others have it. */
export function crc32cOf(bytes: Uint8Array): number {
  return ~crc32c(CRC32C_START, bytes) >>> 0;
}
