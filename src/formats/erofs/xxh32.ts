const PRIME_1 = 0x9e3779b1;
const PRIME_2 = 0x85ebca77;
const PRIME_3 = 0xc2b2ae3d;
const PRIME_4 = 0x27d4eb2f;
const PRIME_5 = 0x165667b1;

const rotateLeft = (value: number, by: number): number => (value << by) | (value >>> (32 - by));

/**
 * XXH32, the hash of EROFS's xattr name filter.
 *
 * @returns unsigned 32 bits
 * @see xxHash specification (doc/xxhash_spec.md), "XXH32 Algorithm Description"
 */
export function xxh32(input: Uint8Array, seed: number): number {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  const size = input.length;
  let at = 0;
  let hash = (seed + PRIME_5) | 0;

  // Steps 1 to 3: four accumulators over stripes of 16 bytes.
  if (size >= 16) {
    const lanes = [seed + PRIME_1 + PRIME_2, seed + PRIME_2, seed, seed - PRIME_1];
    for (; at + 16 <= size; at += 16) {
      for (let lane = 0; lane < 4; lane++) {
        const sum = ((lanes[lane] as number) + Math.imul(view.getUint32(at + 4 * lane, true), PRIME_2)) | 0;
        lanes[lane] = Math.imul(rotateLeft(sum, 13), PRIME_1);
      }
    }
    const [a, b, c, d] = lanes as [number, number, number, number];
    hash = (rotateLeft(a, 1) + rotateLeft(b, 7) + rotateLeft(c, 12) + rotateLeft(d, 18)) | 0;
  }

  // Steps 4 and 5: the length, then what is left, by words and by bytes.
  hash = (hash + size) | 0;
  for (; at + 4 <= size; at += 4) {
    hash = Math.imul(rotateLeft(hash + Math.imul(view.getUint32(at, true), PRIME_3), 17), PRIME_4);
  }
  for (; at < size; at++) {
    hash = Math.imul(rotateLeft(hash + Math.imul(view.getUint8(at), PRIME_5), 11), PRIME_1);
  }

  // Step 6: the final mix.
  hash = Math.imul(hash ^ (hash >>> 15), PRIME_2);
  hash = Math.imul(hash ^ (hash >>> 13), PRIME_3);
  return (hash ^ (hash >>> 16)) >>> 0;
}
