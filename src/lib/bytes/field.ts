/**
 * A fixed field of an on-disk structure: where it is and how wide. One table of these serves the reader, the writer
 * and whoever looks up an offset.
 */
export type Field = readonly [offset: number, size: 1 | 2 | 4 | 8];

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * Reads an unsigned little-endian field.
 *
 * A 64-bit value above 2^53 comes back rounded: compare it with a limit before it is used for anything else.
 */
export function getField(view: DataView, [offset, size]: Field): number {
  switch (size) {
    case 1:
      return view.getUint8(offset);
    case 2:
      return view.getUint16(offset, true);
    case 4:
      return view.getUint32(offset, true);
    default:
      return Number(view.getBigUint64(offset, true));
  }
}

/** Writes a little-endian field; negative numbers wrap to two's complement. */
export function setField(view: DataView, [offset, size]: Field, value: number): void {
  switch (size) {
    case 1:
      return view.setUint8(offset, value);
    case 2:
      return view.setUint16(offset, value, true);
    case 4:
      return view.setUint32(offset, value, true);
    default:
      return view.setBigUint64(offset, BigInt(value), true);
  }
}
