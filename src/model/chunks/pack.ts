/**
 * Which components share a layer.
 *
 * A layer is fetched whole when anything in it changed. With sizes s and probabilities p of its components, an update
 * costs a host
 *
 *     expected bytes of a layer = (sum of s + overhead) * (1 - product of (1 - p))
 *
 * and what is wanted is a partition into at most N layers with the least sum of that: large and calm things must not lie
 * beside lively ones, while things that change anyway may as well lie together. Finding the least is a partition problem
 * of the hard kind; this is the greedy one that merges, at every step, the two layers whose union costs least more, and
 * then moves single components for as long as that helps.
 *
 * A layout that hosts have already is where the merging starts from. Putting something into one of its layers that would
 * otherwise stay as it is costs those bytes now, once, against the expected bytes of the updates to come; so a layer
 * keeps its components, and with them its bytes, unless the room is needed.
 *
 * Sizes and probabilities are taken in steps of a factor of the square root of two: a few bytes more must not lead to
 * another partition. Same input, same partition: ties go to the first by name.
 */

/** A component, as packing sees it. */
export interface Weighed {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Of being another in the next build: 0 to below 1. */
  readonly probability: number;
}

export interface PackOptions {
  /** At least 1. */
  readonly maxLayers: number;
  /** Layers that hosts have, by the components that are in them. */
  readonly held?: readonly HeldLayer[];
}

export interface HeldLayer {
  /** Of components that are there still. */
  readonly components: readonly string[];
  /** It is another now, whatever is put into it: one of its components changed or is gone. */
  readonly changed: boolean;
}

export interface PackedLayer {
  /** By name. */
  readonly components: readonly string[];
  /** That anything in it changes in the next build. */
  readonly probability: number;
  /** Index of the held layer that it goes on from. */
  readonly heldBy?: number;
}

/** What a layer costs beside its bytes: a request, a header, a dictionary that starts anew. */
const LAYER_OVERHEAD = 32 * 1024;

/** Updates to come that the bytes of this one are weighed against. */
const HORIZON = 10;

/** Above this many, the likest are joined first: the search takes the square of it. */
const MAX_CLUSTERS = 800;

/** Rounds of moves; there are rarely more than three before nothing helps any more. */
const MAX_ROUNDS = 10;

/**
 * Packs every component into one of at most `maxLayers` layers, the calmest first; held layers come first and in their
 * order.
 */
export function packComponents(components: readonly Weighed[], options: PackOptions): PackedLayer[] {
  const { held = [], maxLayers } = options;
  const items = new Map(components.map((component) => [component.name, toItem(component)]));
  const clusters: Cluster[] = [];
  const placed = new Set<string>();
  for (const [index, layer] of held.entries()) {
    const own = layer.components.flatMap((name) => {
      const item = placed.has(name) ? undefined : items.get(name);
      placed.add(name);
      return item ?? [];
    });
    if (own.length > 0) clusters.push(clusterOf(own, { changed: layer.changed, held: index }));
  }
  const fresh = [...items.values()].filter(({ name }) => !placed.has(name)).sort(byName);
  clusters.push(...joinLikest(fresh, MAX_CLUSTERS - clusters.length));
  const merged = merge(clusters, Math.max(1, maxLayers));
  improve(merged);
  return merged
    .filter(({ items: own }) => own.length > 0)
    .sort(inOrder)
    .map((cluster) => ({
      components: cluster.items.map(({ name }) => name).sort(),
      probability: 1 - Math.exp(-cluster.items.reduce((sum, { exact }) => sum + exact, 0)),
      ...(cluster.held === undefined ? {} : { heldBy: cluster.held }),
    }));
}

/** Bytes that an update is expected to cost with these layers. */
export function expectedBytes(
  components: readonly Weighed[],
  layers: readonly { readonly components: readonly string[] }[],
): number {
  const items = new Map(components.map((component) => [component.name, component]));
  return layers.reduce((total, layer) => {
    let [size, calm] = [0, 1];
    for (const name of layer.components) {
      size += items.get(name)?.size ?? 0;
      calm *= 1 - (items.get(name)?.probability ?? 0);
    }
    return total + size * (1 - calm);
  }, 0);
}

interface Item {
  readonly name: string;
  readonly size: number;
  /** -ln(1 - probability): that of a layer is the sum of its items'. */
  readonly hazard: number;
  /** The same, not rounded. */
  readonly exact: number;
}

interface Cluster {
  items: Item[];
  size: number;
  hazard: number;
  /** Is fetched with this build in any case. */
  changed: boolean;
  readonly held: number | undefined;
}

function toItem({ name, probability, size }: Weighed): Item {
  const exact = -Math.log1p(-Math.min(Math.max(probability, 0), 0.999_999));
  return { name, size: inSteps(size), hazard: inSteps(exact), exact };
}

const inSteps = (value: number): number => (value <= 0 ? 0 : 2 ** (Math.round(2 * Math.log2(value)) / 2));

const byName = (a: { readonly name: string }, b: typeof a): number => (a.name < b.name ? -1 : 1);

function clusterOf(items: readonly Item[], { changed, held }: { changed: boolean; held?: number }): Cluster {
  const sum = (valueOf: (item: Item) => number) => items.reduce((total, item) => total + valueOf(item), 0);
  return { items: [...items], size: sum((item) => item.size), hazard: sum((item) => item.hazard), changed, held };
}

/** Of the updates to come, and of this one. */
function costOf(size: number, hazard: number, changed: boolean): number {
  if (size === 0 && hazard === 0) return 0;
  return HORIZON * (size + LAYER_OVERHEAD) * -Math.expm1(-hazard) + (changed ? size : 0);
}

const clusterCost = ({ changed, hazard, size }: Cluster): number => costOf(size, hazard, changed);

/**
 * What merging two costs more than having both; below 0 it is worth it even where there is room. Two layers that hosts
 * have are merged for want of room alone: saving a request is no reason to give up a layout.
 */
function mergeCost(a: Cluster, b: Cluster): number {
  const cost = costOf(a.size + b.size, a.hazard + b.hazard, true) - clusterCost(a) - clusterCost(b);
  return a.held !== undefined && b.held !== undefined ? Math.max(0, cost) : cost;
}

/** Clusters of one item each, or of several with nearly the same hazard where there are too many. */
function joinLikest(items: readonly Item[], count: number): Cluster[] {
  const room = Math.max(1, count);
  if (items.length <= room) return items.map((item) => clusterOf([item], { changed: true }));
  const inOrderOfHazard = [...items].sort((a, b) => a.hazard - b.hazard || a.size - b.size || byName(a, b));
  const each = Math.ceil(items.length / room);
  return Array.from({ length: Math.ceil(items.length / each) }, (_, index) =>
    clusterOf(inOrderOfHazard.slice(index * each, (index + 1) * each), { changed: true }),
  );
}

/** Merges until there are at most `most`, and for as long as merging saves bytes. Each cluster knows its best partner. */
function merge(clusters: readonly Cluster[], most: number): Cluster[] {
  const list: (Cluster | undefined)[] = [...clusters];
  const best: Partner[] = list.map((_, index) => bestPartner(list, index));
  for (let count = list.length; count > 1; count--) {
    let first = -1;
    for (const [index, { cost }] of best.entries()) {
      if (list[index] !== undefined && (first === -1 || cost < (best[first] as Partner).cost)) first = index;
    }
    const { cost, index: second } = best[first] as Partner;
    if (count <= most && cost >= 0) break;
    list[first] = union(list[first] as Cluster, list[second] as Cluster);
    list[second] = undefined;
    best[first] = bestPartner(list, first);
    for (const [index, partner] of best.entries()) {
      if (list[index] === undefined || index === first) continue;
      if (partner.index === first || partner.index === second) best[index] = bestPartner(list, index);
      else if (index < first) {
        const now = mergeCost(list[index], list[first] as Cluster);
        if (now < partner.cost) best[index] = { cost: now, index: first };
      }
    }
  }
  return list.filter((cluster) => cluster !== undefined);
}

interface Partner {
  readonly cost: number;
  readonly index: number;
}

/** Among those behind it: each pair is looked at once. */
function bestPartner(list: readonly (Cluster | undefined)[], index: number): Partner {
  let found: Partner = { cost: Number.POSITIVE_INFINITY, index: -1 };
  const cluster = list[index];
  if (cluster === undefined) return found;
  for (let other = index + 1; other < list.length; other++) {
    const candidate = list[other];
    if (candidate === undefined) continue;
    const cost = mergeCost(cluster, candidate);
    if (cost < found.cost) found = { cost, index: other };
  }
  return found;
}

function union(a: Cluster, b: Cluster): Cluster {
  const held = a.held ?? b.held;
  return {
    items: [...a.items, ...b.items],
    size: a.size + b.size,
    hazard: a.hazard + b.hazard,
    changed: true,
    held: a.held !== undefined && b.held !== undefined ? Math.min(a.held, b.held) : held,
  };
}

/** Moves items between layers that are fetched anyway, for as long as that saves bytes. */
function improve(clusters: readonly Cluster[]): void {
  const movable = clusters.filter(({ changed }) => changed);
  for (let round = 0; round < MAX_ROUNDS; round++) {
    let moved = false;
    for (const from of movable) {
      for (const item of from.held === undefined ? [...from.items].sort(byName) : []) {
        const to = bestPlace(item, from, movable);
        if (to === undefined) continue;
        take(from, item);
        put(to, item);
        moved = true;
      }
    }
    if (!moved) return;
  }
}

function bestPlace(item: Item, from: Cluster, clusters: readonly Cluster[]): Cluster | undefined {
  if (from.items.length === 1) return undefined;
  const without = costOf(from.size - item.size, from.hazard - item.hazard, true);
  const leaving = without - clusterCost(from);
  let found: Cluster | undefined;
  // Less than a byte is no reason: sums of the same numbers in another order differ by as much.
  let least = -1;
  for (const to of clusters) {
    if (to === from || to.items.length === 0) continue;
    const saved = leaving + costOf(to.size + item.size, to.hazard + item.hazard, true) - clusterCost(to);
    if (saved < least) [least, found] = [saved, to];
  }
  return found;
}

function take(cluster: Cluster, item: Item): void {
  cluster.items = cluster.items.filter((one) => one !== item);
  Object.assign(cluster, pickSums(cluster.items));
}

function put(cluster: Cluster, item: Item): void {
  cluster.items.push(item);
  Object.assign(cluster, pickSums(cluster.items));
}

function pickSums(items: readonly Item[]): { size: number; hazard: number } {
  const { hazard, size } = clusterOf(items, { changed: true });
  return { size, hazard };
}

function inOrder(a: Cluster, b: Cluster): number {
  const [left, right] = [a, b].map(({ held }) => held ?? Number.POSITIVE_INFINITY) as [number, number];
  if (left !== right) return left - right;
  return a.hazard - b.hazard || (firstName(a) < firstName(b) ? -1 : 1);
}

const firstName = ({ items }: Cluster): string =>
  items.reduce((first, { name }) => (name < first ? name : first), items[0]?.name ?? "");
