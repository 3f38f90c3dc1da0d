import fc from "fast-check";
import { expect, test } from "vitest";
import { DigestMap } from "./digest-map.ts";

/** Keys of which many are the same in front, where a map looks first. */
const key = fc
  .tuple(fc.integer({ min: 0, max: 3 }), fc.uint8Array({ minLength: 4, maxLength: 4 }))
  .map(([front, rest]) => Uint8Array.of(front, 0, 0, 0, ...rest));

test("DigestMap has what a map of strings has", () => {
  fc.assert(
    fc.property(fc.array(key, { maxLength: 3000, size: "max" }), (keys) => {
      const [ours, plain] = [new DigestMap<number>(), new Map<string, number>()];
      for (const [index, one] of keys.entries()) {
        expect(ours.get(one)).toBe(plain.get(one.join()));
        if (plain.has(one.join())) continue;
        ours.add(one, index);
        plain.set(one.join(), index);
      }
      for (const one of keys) expect(ours.get(one)).toBe(plain.get(one.join()));
    }),
    { numRuns: 20 },
  );
});

test("DigestMap takes keys that were chosen to collide in about the time of others", () => {
  const map = new DigestMap<number>();
  const start = performance.now();
  for (let index = 0; index < 100_000; index++) {
    const one = new Uint8Array(32);
    one.set([index & 0xff, index >> 8, index >> 16], 10);
    expect(map.get(one) === undefined).toBe(true);
    map.add(one, index);
  }
  expect(performance.now() - start).toBeLessThan(10_000);
});
