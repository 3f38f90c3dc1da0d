const POLYNOMIAL = 0x82f63b78; // Castagnoli, reflected (RFC 3720 appendix B.4)

/** CRC-32C in decimal, as Google's JSON has 64-bit numbers. A bit at a time: the inputs are signatures. */
export function crc32cText(bytes: Uint8Array): string {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
  }
  return String((crc ^ 0xffff_ffff) >>> 0);
}
