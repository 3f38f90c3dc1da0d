import type { Build } from "./build.ts";
import { type PlacedEntry, tarSizeOf } from "./components.ts";
import { estimateChanges, type Signatures } from "./history.ts";
import type { LayerTar } from "./layer-tar.ts";
import { expectedBytes, type HeldLayer, packComponents, type Weighed } from "./pack.ts";

/** A layer that is to be written. */
export interface PlannedLayer extends LayerTar {
  /** By name; none for the last layer, which has the directories and what is in /boot. */
  readonly components: readonly string[];
  /** That anything in it changes in the next build; 1 for the last. */
  readonly probability: number;
}

export interface Layout {
  /** Lowest first: what hosts have, then the calmest. */
  readonly layers: readonly PlannedLayer[];
  readonly components: readonly Weighed[];
  readonly expected: ExpectedBytes;
}

/** Bytes of tars that an update is expected to change. */
export interface ExpectedBytes {
  readonly update: number;
  /** In one layer. */
  readonly atMost: number;
  /** In any number of layers. */
  readonly atLeast: number;
  /** In layers that were packed anew, where a layout was kept. */
  readonly repacked?: number;
}

export interface LayoutOptions {
  /** At least 1, the last layer included. */
  readonly maxLayers: number;
  /** What earlier builds had, newest first. */
  readonly earlier?: readonly Signatures[];
  /** The layout to go on from: the layer of each component of the newest of them. */
  readonly heldLayers?: ReadonlyMap<string, number>;
}

/** Plans the layers of a build: every entry of its tree stands in exactly one of them. */
export function planLayout({ found, signatures }: Build, options: LayoutOptions): Layout {
  const { earlier = [], heldLayers = new Map(), maxLayers } = options;
  const { components, directories, last } = found;
  const changes = estimateChanges(components, [signatures, ...earlier]);
  const weighed = components.map(({ name, size }) => ({ name, size, probability: changes.get(name) ?? 0 }));
  const names = components.map(({ name }) => name);
  // The last layer changes with whatever changes: times of directories, the digest in a UKI.
  const lastSize = last.reduce((sum, { node }) => sum + tarSizeOf(node), 0);
  const expect = (layers: readonly { readonly components: readonly string[] }[]): number =>
    lastSize + expectedBytes(weighed, layers);
  const atMost = expect([{ components: names }]);
  const atLeast = expect(names.map((name) => ({ components: [name] })));
  if (maxLayers <= 1 || components.length === 0) {
    const entries = inOrder([...components.flatMap((component) => component.entries), ...last]);
    const one = { entries, directories, components: names, probability: 1 };
    return { layers: [one], components: weighed, expected: { update: atMost, atMost, atLeast } };
  }
  const held = heldLayersOf(heldLayers, signatures, earlier[0] ?? new Map());
  const packed = packComponents(weighed, { maxLayers: maxLayers - 1, held });
  const entriesOf = new Map(components.map(({ entries, name }) => [name, entries]));
  const layers = packed.map((layer) => ({
    components: layer.components,
    probability: layer.probability,
    entries: inOrder(layer.components.flatMap((name) => entriesOf.get(name) ?? [])),
    directories,
  }));
  return {
    layers: [...layers, { components: [], probability: 1, entries: last, directories }],
    components: weighed,
    expected: {
      update: expect(layers),
      atMost,
      atLeast,
      ...(held.length > 0 ? { repacked: expect(packComponents(weighed, { maxLayers: maxLayers - 1 })) } : {}),
    },
  };
}

const inOrder = (entries: readonly PlacedEntry[]): PlacedEntry[] => [...entries].sort((a, b) => a.order - b.order);

function heldLayersOf(layers: ReadonlyMap<string, number>, now: Signatures, before: Signatures): HeldLayer[] {
  const held = new Map<number, { components: string[]; changed: boolean }>();
  for (const [name, index] of [...layers].sort(([, a], [, b]) => a - b)) {
    const layer = held.get(index) ?? { components: [], changed: false };
    held.set(index, layer);
    if (now.get(name) !== before.get(name)) layer.changed = true;
    if (now.has(name)) layer.components.push(name);
  }
  return [...held.values()];
}
