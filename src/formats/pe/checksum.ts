import type { Pe } from "./read.ts";

/** CheckSum as `sbsign` and the Windows image helper compute it: firmware ignores it, other tools compare it. */
export function computePeChecksum(pe: Pe): number {
  return checksumOf(pe.bytes, pe.checksumOffset);
}

/** Computes and stores CheckSum; changes `bytes`. */
export function setPeChecksum(bytes: Uint8Array, checksumOffset: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  view.setUint32(checksumOffset, checksumOf(bytes, checksumOffset), true);
}

/** The ones' complement sum of all little-endian 16-bit words except the field itself, plus the file size. */
function checksumOf(bytes: Uint8Array, checksumOffset: number): number {
  const before = sumWords(bytes.subarray(0, checksumOffset));
  const after = sumWords(bytes.subarray(checksumOffset + 4));
  return (foldTo16(before + after) + bytes.length) % 0x1_0000_0000;
}

/** Words in a block: their sum stays far below 2^53. */
const BLOCK = 1 << 20;

/** Adds 32-bit words: 2^16 is 1 modulo 2^16 - 1, so folding gives the sum of the 16-bit words. */
function sumWords(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const whole = bytes.length - (bytes.length % 4);
  let sum = 0;
  for (let block = 0; block < whole; block += BLOCK) {
    const end = Math.min(block + BLOCK, whole);
    for (let at = block; at < end; at += 4) sum += view.getUint32(at, true);
    sum = foldTo16(sum);
  }
  for (let at = whole; at < bytes.length; at++) sum += view.getUint8(at) * (at % 2 === 0 ? 1 : 0x100);
  return foldTo16(sum);
}

function foldTo16(value: number): number {
  let folded = value;
  while (folded > 0xffff) folded = (folded % 0x1_0000) + Math.floor(folded / 0x1_0000);
  return folded;
}
