import fc from "fast-check";
import { expect, test } from "vitest";
import { expectedBytes, type PackedLayer, packComponents, type Weighed } from "./pack.ts";

const MIB = 1 << 20;

const component = fc.record({
  size: fc.oneof(fc.nat(5000), fc.nat(200 * MIB)),
  probability: fc.oneof(fc.constantFrom(0, 0.5, 0.98), fc.double({ min: 0, max: 0.98, noNaN: true })),
});
const components = fc
  .array(component, { maxLength: 60 })
  .map((list): Weighed[] => list.map((one, index) => ({ name: `c${String(index).padStart(3, "0")}`, ...one })));
const maxLayers = fc.integer({ min: 1, max: 20 });

const namesOf = (layers: readonly { readonly components: readonly string[] }[]) =>
  layers.flatMap((layer) => [...layer.components]).sort();

const asHeld = (layers: readonly PackedLayer[], changed: (names: readonly string[]) => boolean) =>
  layers.map(({ components: names }) => ({ components: names, changed: changed(names) }));

test("packComponents() puts every component into one of at most so many layers", () => {
  fc.assert(
    fc.property(components, maxLayers, (list, most) => {
      const layers = packComponents(list, { maxLayers: most });
      expect(layers.length).toBeLessThanOrEqual(most);
      expect(layers.every((layer) => layer.components.length > 0)).toBe(true);
      expect(namesOf(layers)).toEqual(list.map(({ name }) => name));
    }),
  );
});

test("packComponents() does so with layers that hosts have, whatever is said of them", () => {
  const held = fc.array(
    fc.record({ components: fc.array(fc.nat(70).map((n) => `c${String(n).padStart(3, "0")}`)), changed: fc.boolean() }),
    { maxLength: 25 },
  );
  fc.assert(
    fc.property(components, maxLayers, held, (list, most, layers) => {
      const packed = packComponents(list, { maxLayers: most, held: layers });
      expect(packed.length).toBeLessThanOrEqual(most);
      expect(namesOf(packed)).toEqual(list.map(({ name }) => name));
    }),
  );
});

test("packComponents() does not depend on the order of the components", () => {
  fc.assert(
    fc.property(components, maxLayers, fc.integer(), (list, most, seed) => {
      const shuffled = [...list].sort((a, b) => ((a.name.length * 31 + a.size + seed) % 7) - ((b.size + seed) % 7));
      expect(packComponents(shuffled, { maxLayers: most })).toEqual(packComponents(list, { maxLayers: most }));
    }),
  );
});

test("packComponents() keeps a layout as it is when one component changed", () => {
  fc.assert(
    fc.property(components, maxLayers, fc.nat(), (list, most, which) => {
      const before = packComponents(list, { maxLayers: most });
      const changed = list[which % Math.max(1, list.length)]?.name ?? "";
      const held = asHeld(before, (names) => names.includes(changed));
      const after = packComponents(list, { maxLayers: most, held });
      expect(after.map((layer) => layer.components)).toEqual(before.map((layer) => layer.components));
    }),
  );
});

test("packComponents() leaves layers that hosts have alone when something is new, if there is room", () => {
  fc.assert(
    fc.property(components, (list) => {
      const before = packComponents(list, { maxLayers: 20 });
      const held = asHeld(before, () => false);
      const more = [...list, { name: "new", size: 3 * MIB, probability: 0.9 }];
      const after = packComponents(more, { maxLayers: 40, held });
      const kept = new Set(after.map((layer) => layer.components.join()));
      const touched = before.filter((layer) => !kept.has(layer.components.join()));
      expect(touched.length).toBeLessThanOrEqual(1);
    }),
  );
});

test("packComponents() does not put large and calm things beside lively ones", () => {
  const list = [
    { name: "calm-1", size: 100 * MIB, probability: 0.01 },
    { name: "calm-2", size: 80 * MIB, probability: 0.01 },
    { name: "lively-1", size: 2 * MIB, probability: 0.9 },
    { name: "lively-2", size: MIB, probability: 0.95 },
  ];
  expect(packComponents(list, { maxLayers: 2 }).map((layer) => layer.components)).toEqual([
    ["calm-1", "calm-2"],
    ["lively-1", "lively-2"],
  ]);
});

/** Every partition of up to six things into at most so many layers. */
function leastOf(list: readonly Weighed[], most: number): number {
  let least = Number.POSITIVE_INFINITY;
  const place = (index: number, layers: string[][]): void => {
    const name = list[index]?.name;
    if (name === undefined) {
      const bytes = expectedBytes(
        list,
        layers.map((names) => ({ components: names })),
      );
      least = Math.min(least, bytes);
      return;
    }
    for (const [at, layer] of layers.entries()) place(index + 1, layers.with(at, [...layer, name]));
    if (layers.length < most) place(index + 1, [...layers, [name]]);
  };
  place(0, []);
  return least;
}

test("packComponents() is within one per cent of the least on small inputs", () => {
  const large = fc.record({
    size: fc.integer({ min: MIB, max: 500 * MIB }),
    probability: fc.double({ min: 0.001, max: 0.9, noNaN: true }),
  });
  let [found, least] = [0, 0];
  fc.assert(
    fc.property(fc.array(large, { minLength: 2, maxLength: 6 }), fc.integer({ min: 1, max: 4 }), (sizes, most) => {
      const list = sizes.map((one, index) => ({ name: `c${index}`, ...one }));
      found += expectedBytes(list, packComponents(list, { maxLayers: most }));
      least += leastOf(list, most);
    }),
    { seed: 11, numRuns: 300 },
  );
  expect(found / least).toBeLessThan(1.01);
});

test("packComponents() packs ten thousand components", () => {
  const list = Array.from({ length: 10_000 }, (_, index) => ({
    name: `c${String(index).padStart(5, "0")}`,
    size: 1000 + ((index * 7919) % 100_000),
    probability: ((index * 31) % 97) / 100,
  }));
  const layers = packComponents(list, { maxLayers: 64 });
  expect(layers.length).toBeLessThanOrEqual(64);
  expect(namesOf(layers)).toHaveLength(10_000);
});
