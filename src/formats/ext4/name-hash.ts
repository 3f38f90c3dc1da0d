import { type ByteString, byteStringToBytes } from "../../lib/bytes/byte-string.ts";

/** Hash of a file name: index blocks compare `major`, `minor` only orders what is equal. */
export interface NameHash {
  readonly major: number;
  readonly minor: number;
}

type State = [number, number, number, number];

/** Start of MD4 (RFC 1320 section 3.3), which a seed of zeros stands for. */
const MD4_START: Readonly<State> = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476];

/** A major hash that means "end of directory" to readers, and what is used instead. */
const HTREE_EOF = 0xffff_fffe;
const BELOW_EOF = 0xffff_fffc;

/**
 * Half MD4 over a name taken as unsigned bytes.
 *
 * @param seed s_hash_seed, 16 bytes
 * @see Linux Documentation/filesystems/ext4/directory.rst, "Hash Tree Directories"
 */
export function hashName(name: ByteString, seed: Uint8Array): NameHash {
  const view = new DataView(seed.buffer, seed.byteOffset, 16);
  const seeded = [0, 4, 8, 12].map((at) => view.getUint32(at, true)) as State;
  const state: State = seeded.every((word) => word === 0) ? [...MD4_START] : seeded;
  const bytes = byteStringToBytes(name);
  for (let at = 0; at < bytes.length; at += 32) halfMd4(state, messageWords(bytes, at));
  const major = (state[1] & ~1) >>> 0;
  return { major: major === HTREE_EOF ? BELOW_EOF : major, minor: state[2] >>> 0 };
}

/** Eight words: 32 bytes of the name from `from` on, first byte highest, filled up with the length that remains. */
function messageWords(name: Uint8Array, from: number): readonly number[] {
  const length = name.length - from;
  const filler = length | (length << 8) | (length << 16) | (length << 24);
  const words = [filler, filler, filler, filler, filler, filler, filler, filler];
  for (let i = 0; i < Math.min(length, 32); i++) {
    const before = (i & 3) === 0 ? filler : (words[i >> 2] as number);
    words[i >> 2] = (name[from + i] as number) + (before << 8);
  }
  return words;
}

const choose = (x: number, y: number, z: number): number => z ^ (x & (y ^ z));
const majority = (x: number, y: number, z: number): number => ((x & y) + ((x ^ y) & z)) | 0;
const parity = (x: number, y: number, z: number): number => x ^ y ^ z;

/** The three rounds: mixing function, constant, order of the words, rotations. */
const ROUNDS = [
  { mix: choose, constant: 0, order: [0, 1, 2, 3, 4, 5, 6, 7], rotations: [3, 7, 11, 19] },
  { mix: majority, constant: 0x5a82_7999, order: [1, 3, 5, 7, 0, 2, 4, 6], rotations: [3, 5, 9, 13] },
  { mix: parity, constant: 0x6ed9_eba1, order: [3, 7, 2, 6, 1, 5, 0, 4], rotations: [3, 9, 11, 15] },
] as const;

function halfMd4(state: State, words: readonly number[]): void {
  let [a, b, c, d] = state;
  for (const { mix, constant, order, rotations } of ROUNDS) {
    for (const [step, word] of order.entries()) {
      const sum = (a + mix(b, c, d) + (words[word] as number) + constant) | 0;
      const by = rotations[step & 3] as number;
      [a, b, c, d] = [d, (sum << by) | (sum >>> (32 - by)), b, c];
    }
  }
  state[0] = (state[0] + a) | 0;
  state[1] = (state[1] + b) | 0;
  state[2] = (state[2] + c) | 0;
  state[3] = (state[3] + d) | 0;
}
