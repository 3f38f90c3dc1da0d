/**
 * Ways to pack the same components into layers, by the bytes of tars that change from one image to the next. Nothing is
 * written: this compares the rules alone.
 *
 *     npx -c 'node bench/packing.ts FROM TO'
 *
 * `chunkah` is its rule as its documentation has it: components whose size is out of the ordinary get layers of their
 * own, the others are spread over three tiers of stability by a hash of their names. `hash` spreads all by name alone.
 */

import { type Build, estimateChanges, packComponents, readBuild, type Weighed } from "../src/model/chunks/index.ts";
import { openImage } from "../src/model/image/open-image.ts";
import { readImage } from "../src/model/source/tree-source.ts";

type Layers = readonly (readonly string[])[];

async function load(reference: string): Promise<Build> {
  await using source = await readImage(await openImage(reference), { algorithms: ["sha256"] });
  return await readBuild(source);
}

const weigh = ({ found, signatures }: Build): Weighed[] => {
  const changes = estimateChanges(found.components, [signatures]);
  return found.components.map(({ name, size }) => ({ name, size, probability: changes.get(name) ?? 0 }));
};

/** 32-bit FNV-1a. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}

function byHash(components: readonly Weighed[], count: number): Layers {
  const buckets = Map.groupBy(components, ({ name }) => hashOf(name) % Math.max(1, count));
  return [...buckets.values()].map((bucket) => bucket.map(({ name }) => name));
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;

function byChunkah(components: readonly Weighed[], count: number): Layers {
  if (components.length <= count) return components.map(({ name }) => [name]);
  const middle = median(components.map(({ size }) => size));
  const spread = median(components.map(({ size }) => Math.abs(size - middle)));
  const large = components
    .filter(({ size }) => size > middle + 1.5 * spread)
    .sort((a, b) => b.size - a.size)
    .slice(0, Math.floor(0.8 * count));
  const rest = components.filter((component) => !large.includes(component));
  const stability = rest.map(({ probability }) => 1 - probability);
  const mean = stability.reduce((sum, value) => sum + value, 0) / rest.length;
  const sigma = Math.sqrt(stability.reduce((sum, value) => sum + (value - mean) ** 2, 0) / rest.length);
  const tiers = Map.groupBy(rest, ({ probability }) => Math.sign(Math.trunc((1 - probability - mean) / (sigma || 1))));
  const each = Math.floor((count - large.length) / tiers.size);
  return [...large.map(({ name }) => [name]), ...[...tiers.values()].flatMap((tier) => byHash(tier, each))];
}

/** Bytes in layers of which something is another. */
function changedBytes(before: Build, after: Build, old: Layers, layers: Layers): number {
  const held = new Set(old.map((names) => describe(names, before)));
  const sizes = new Map(after.found.components.map(({ name, size }) => [name, size]));
  return layers
    .filter((names) => !held.has(describe(names, after)))
    .reduce((total, names) => names.reduce((sum, name) => sum + (sizes.get(name) ?? 0), total), 0);
}

const describe = (names: readonly string[], { signatures }: Build): string =>
  [...names]
    .sort()
    .map((name) => `${name} ${signatures.get(name)}`)
    .join("\n");

const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`.padStart(10);

const [from = "", to = ""] = process.argv.slice(2);
const [before, after] = [await load(from), await load(to)];
const [old, now] = [weigh(before), weigh(after)];
const ours = (components: readonly Weighed[], maxLayers: number): Layers =>
  packComponents(components, { maxLayers }).map((layer) => layer.components);
const total = now.reduce((sum, { size }) => sum + size, 0);
const least = changedBytes(
  before,
  after,
  old.map(({ name }) => [name]),
  now.map(({ name }) => [name]),
);
console.log(`${now.length} components, ${mib(total).trim()}; changed ones alone ${mib(least).trim()}`);
for (const count of [8, 16, 32, 64]) {
  const layout = ours(old, count);
  const held = layout.map((components) => ({
    components,
    changed: components.some((name) => before.signatures.get(name) !== after.signatures.get(name)),
  }));
  const kept = packComponents(now, { maxLayers: count, held }).map((layer) => layer.components);
  const rows: readonly (readonly [string, Layers, Layers])[] = [
    ["hash", byHash(old, count), byHash(now, count)],
    ["chunkah", byChunkah(old, count), byChunkah(now, count)],
    ["ours, each alone", layout, ours(now, count)],
    ["ours, layout kept", layout, kept],
  ];
  for (const [name, first, second] of rows) {
    console.log(
      `  ${String(count).padStart(3)} layers  ${name.padEnd(18)} ${mib(changedBytes(before, after, first, second))}`,
    );
  }
}
