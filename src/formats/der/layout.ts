/** Universal tags (X.690 §8.1.2, X.680 §8.6); constructed ones carry bit 6 as they are stored. */
export const TAG = {
  BOOLEAN: 0x01,
  INTEGER: 0x02,
  BIT_STRING: 0x03,
  OCTET_STRING: 0x04,
  NULL: 0x05,
  OBJECT_IDENTIFIER: 0x06,
  UTF8_STRING: 0x0c,
  PRINTABLE_STRING: 0x13,
  TELETEX_STRING: 0x14,
  IA5_STRING: 0x16,
  UTC_TIME: 0x17,
  GENERALIZED_TIME: 0x18,
  BMP_STRING: 0x1e,
  SEQUENCE: 0x30,
  SET: 0x31,
} as const;

/** Context-specific tag `[n]`: constructed for EXPLICIT and for IMPLICIT of a constructed type (X.690 §8.14). */
export function contextTag(number: number, form: "constructed" | "primitive" = "constructed"): number {
  return (form === "constructed" ? 0xa0 : 0x80) | number;
}

/**
 * How many constructed values may contain each other. Safety limit, not a format rule: an X.509 certificate inside
 * CMS inside a PE signature needs 14.
 */
export const MAX_DEPTH = 32;

/** Longest OBJECT IDENTIFIER taken, in content octets. Safety limit: the longest in use here has 10. */
export const MAX_OID_SIZE = 64;

/** SEQUENCE (0x30) as `SEQUENCE (0x30)`: a tag for messages. */
export function showTag(tag: number): string {
  const hex = `0x${tag.toString(16).padStart(2, "0")}`;
  const name = Object.entries(TAG)
    .find(([, value]) => value === tag)?.[0]
    .replaceAll("_", " ");
  if (name !== undefined) return `${name} (${hex})`;
  return (tag & 0xc0) === 0x80 ? `[${tag & 0x1f}] (${hex})` : hex;
}
