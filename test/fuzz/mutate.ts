import { pickOf, type Random } from "../random.ts";

/** Values that sit at the edges of fields and of what parsers expect. */
const EDGES = [0, 1, 0x7f, 0x80, 0xff, 0x20, 0x2f, 0x30, 0x37, 0x0a, 0x22, 0x3d, 0x5c, 0x7b, 0x41];
const WIDE = [0, 1, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];

/** A changed copy: a few bytes, a field, a stretch taken out, doubled, moved in from another input, or cut off. */
export function mutate(random: Random, corpus: readonly Uint8Array[]): Uint8Array {
  let bytes: Buffer = Buffer.from(pickOf(random, corpus));
  for (let left = 1 + random(4); left > 0; left--) bytes = change(random, bytes, corpus);
  return bytes;
}

function change(random: Random, bytes: Buffer, corpus: readonly Uint8Array[]): Buffer {
  if (bytes.length === 0) return Buffer.from([random(256)]);
  const at = interesting(random, bytes);
  switch (random(10)) {
    case 0:
      bytes[at] = (bytes[at] as number) ^ (1 << random(8));
      return bytes;
    case 1:
      bytes[at] = random(256);
      return bytes;
    case 2:
      bytes[at] = pickOf(random, EDGES);
      return bytes;
    case 3:
      bytes[at] = ((bytes[at] as number) + pickOf(random, [1, 255])) & 0xff;
      return bytes;
    case 4:
      return writeField(random, bytes, at);
    case 5:
      return random(4) === 0 ? bytes.subarray(0, at) : bytes;
    case 6: {
      const end = Math.min(bytes.length, at + 1 + random(random(2) === 0 ? 8 : 512));
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)]);
    }
    case 7: {
      const end = Math.min(bytes.length, at + 1 + random(random(2) === 0 ? 8 : 512));
      return Buffer.concat([bytes.subarray(0, end), bytes.subarray(at, end), bytes.subarray(end)]);
    }
    case 8: {
      const other = pickOf(random, corpus);
      const from = random(other.length + 1);
      const part = other.subarray(from, from + 1 + random(512));
      bytes.set(part.subarray(0, bytes.length - at), at);
      return bytes;
    }
    default: {
      const from = interesting(random, bytes);
      bytes.copyWithin(at, from, from + 1 + random(64));
      return bytes;
    }
  }
}

/** A place where something is: large images are mostly zeros. */
function interesting(random: Random, bytes: Buffer): number {
  // The generator gives 28 bits; no input is larger.
  let at = random(2) === 0 ? random(Math.min(bytes.length, 4096)) : random(bytes.length);
  for (let tries = 0; tries < 8 && bytes[at] === 0; tries++) at = random(bytes.length);
  return at;
}

function writeField(random: Random, bytes: Buffer, at: number): Buffer {
  const size = pickOf(random, [2, 4, 8]);
  if (at + size > bytes.length) return bytes;
  const aligned = at - (at % pickOf(random, [1, size]));
  const value = BigInt(pickOf(random, WIDE)) << (size === 8 && random(2) === 0 ? 32n : 0n);
  const cut = BigInt.asUintN(size * 8, value);
  for (let index = 0; index < size; index++) {
    const shift = BigInt(8 * (random(8) === 0 ? size - 1 - index : index));
    bytes[aligned + index] = Number((cut >> shift) & 0xffn);
  }
  return bytes;
}
