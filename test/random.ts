/** Numbers from a seed (mulberry32): whatever is made with them is named by one number. */
export interface Random {
  /** A whole number from 0 to below `n`. */
  (n: number): number;
}

export function generator(seed: number): Random {
  let state = seed;
  return (n) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (((t ^ (t >>> 14)) >>> 0) % 0x10000000) % n;
  };
}

export function pickOf<T>(random: Random, values: readonly T[]): T {
  return values[random(values.length)] as T;
}
