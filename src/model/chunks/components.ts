/**
 * The parts of a tree that change together: what a package brought, what somebody named, a large file, a directory.
 *
 *     xattr/NAME            `user.component` of the file, or of the nearest directory above it that has one
 *     dpkg/ rpm/ alpm/NAME  the source package that owns it, but for what is in /etc, /var and / itself: who builds an
 *                           image writes there, and one file that a build touches would take its package along
 *     file/PATH             1 MiB or more, and nobody's
 *     tree/usr/share/fonts  everything else, by where it is
 *
 * The first that applies counts, and every leaf has one component however many names it has. Directories belong to none:
 * what a layer must say of them is no reason to fetch it again (see `layer-tar.ts`).
 *
 * The xattrs are the conventions of chunkah: `user.component`, and `user.update-interval` in days or as a word.
 */
import { type ByteString, byteString, showByteString } from "../../lib/bytes/byte-string.ts";
import { alignUp } from "../../lib/bytes/numbers.ts";
import type { Content, Directory, Leaf, Tree } from "../tree/tree.ts";
import { sortedEntries } from "../tree/tree.ts";

/** A name of the tree, with its place in the order of a tar. */
export interface PlacedEntry {
  /** Position in the walk over the tree: directories before what is in them, names as bytes. */
  readonly order: number;
  /** Relative to the root, without a slash at the end. */
  readonly path: ByteString;
  readonly node: Leaf | Directory;
  /** The first name of the leaf, where this is another. */
  readonly linkTo?: ByteString;
}

export interface Component {
  readonly name: string;
  /** In order. */
  readonly entries: readonly PlacedEntry[];
  /** Bytes in an uncompressed tar, about. */
  readonly size: number;
  /** Seconds since 1970 of its newest file. */
  readonly newest: bigint;
  /** Days between updates, by its own account. */
  readonly intervalDays?: number;
}

export interface Components {
  /** By name. */
  readonly components: readonly Component[];
  /** Every directory, and every leaf below /boot: what is written last. In order. */
  readonly last: readonly PlacedEntry[];
  readonly directories: ReadonlyMap<ByteString, Directory>;
}

/** Files of nobody from this size on are components of their own. */
const BIG_FILE = 1 << 20;

const WRITTEN_BY_BUILDS = /^(?:(?:(?:usr\/)?etc|var)\/|[^/]*$)/;

const COMPONENT = byteString("user.component");
const INTERVAL = byteString("user.update-interval");

const INTERVAL_DAYS: Readonly<Record<string, number>> = {
  daily: 1,
  weekly: 7,
  biweekly: 14,
  monthly: 30,
  quarterly: 91,
  yearly: 365,
};

const HEADER_SIZE = 512;

interface Growing {
  entries: PlacedEntry[];
  size: number;
  newest: bigint;
  intervalDays: number | undefined;
}

/** @param owners of leaves, as `findPackageOwners` finds them */
export function findComponents(tree: Tree, owners: ReadonlyMap<Leaf, string>): Components {
  const growing = new Map<string, Growing>();
  const last: PlacedEntry[] = [];
  const directories = new Map<ByteString, Directory>();
  for (const { component, intervalDays, ...entry } of walkNamed(tree, owners)) {
    if (entry.node.kind === "directory") directories.set(entry.path, entry.node);
    if (component === undefined) {
      last.push(entry);
      continue;
    }
    const found = growing.get(component) ?? { entries: [], size: 0, newest: 0n, intervalDays: undefined };
    growing.set(component, found);
    found.entries.push(entry);
    found.size += entry.linkTo === undefined ? tarSizeOf(entry.node) : HEADER_SIZE;
    if (entry.node.meta.mtimeSec > found.newest) found.newest = entry.node.meta.mtimeSec;
    found.intervalDays ??= intervalDays;
  }
  const components = [...growing]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { intervalDays, ...rest }]) => ({ name, ...rest, ...(intervalDays && { intervalDays }) }));
  return { components, last, directories };
}

interface NamedEntry extends PlacedEntry {
  /** Absent: it is written last. */
  readonly component: string | undefined;
  readonly intervalDays: number | undefined;
}

/** What a directory says about everything below it. */
interface Inherited {
  readonly component?: string;
  readonly intervalDays?: number;
}

function* walkNamed(tree: Tree, owners: ReadonlyMap<Leaf, string>): Generator<NamedEntry, void, void> {
  const first = new Map<Leaf, NamedEntry>();
  const claims = claimLeaves(tree, owners);
  const open: { readonly path: string; readonly node: Leaf | Directory }[] = [{ path: "", node: tree.root }];
  let order = 0;
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { node } = next;
    const path = next.path as ByteString;
    if (node.kind === "directory") {
      yield { order: order++, path, node, component: undefined, intervalDays: undefined };
      for (const [name, child] of sortedEntries(node).reverse()) {
        open.push({ path: path === "" ? name : `${path}/${name}`, node: child });
      }
      continue;
    }
    const known = first.get(node);
    if (known !== undefined) {
      const { component, intervalDays } = known;
      yield { order: order++, path, node, linkTo: known.path, component, intervalDays };
      continue;
    }
    const { component, intervalDays } = claims.get(node) ?? {};
    const entry = { order: order++, path, node, component, intervalDays };
    first.set(node, entry);
    yield entry;
  }
}

/** The strongest claim on each leaf, over all of its names; leaves with a name in /boot have none. */
function claimLeaves(tree: Tree, owners: ReadonlyMap<Leaf, string>): ReadonlyMap<Leaf, Inherited> {
  const claims = new Map<Leaf, Inherited>();
  const inBoot = new Set<Leaf>();
  const open: { readonly path: string; readonly directory: Directory; readonly above: Inherited }[] = [];
  open.push({ path: "", directory: tree.root, above: {} });
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { directory, path } = next;
    const said = { ...next.above, ...saidBy(directory) };
    for (const [name, node] of sortedEntries(directory).reverse()) {
      const at = path === "" ? name : `${path}/${name}`;
      if (node.kind === "directory") open.push({ path: at, directory: node, above: said });
      else if (at.startsWith("boot/")) inBoot.add(node);
      else claims.set(node, strongest(claims.get(node), claimOn(node, at, { ...said, ...saidBy(node) }, owners)));
    }
  }
  for (const leaf of inBoot) claims.delete(leaf);
  return claims;
}

function saidBy({ meta }: Leaf | Directory): Inherited {
  if (meta.xattrs.size === 0) return {};
  const component = meta.xattrs.get(COMPONENT);
  const intervalDays = parseInterval(meta.xattrs.get(INTERVAL));
  return {
    ...(component ? { component: showByteString(component.replace(/\0+$/, "") as ByteString) } : {}),
    ...(intervalDays === undefined ? {} : { intervalDays }),
  };
}

/** Anything but a number of days or one of the words says nothing. */
function parseInterval(value: ByteString | undefined): number | undefined {
  const text = value?.replace(/\0+$/, "").trim().toLowerCase();
  if (text === undefined) return undefined;
  return /^[1-9]\d{0,4}$/.test(text) ? Number(text) : INTERVAL_DAYS[text];
}

function claimOn(leaf: Leaf, path: string, said: Inherited, owners: ReadonlyMap<Leaf, string>): Inherited {
  const interval = said.intervalDays === undefined ? {} : { intervalDays: said.intervalDays };
  if (said.component !== undefined) return { component: `xattr/${said.component}`, ...interval };
  const owner = owners.get(leaf);
  if (owner !== undefined && !WRITTEN_BY_BUILDS.test(path)) return { component: owner, ...interval };
  if (contentSize(leaf) >= BIG_FILE) return { component: `file/${withoutVersion(path)}`, ...interval };
  return { component: `tree/${topOf(path)}`, ...interval };
}

const STRENGTH = ["tree/", "file/", "alpm/", "dpkg/", "rpm/", "xattr/"];
const strengthOf = ({ component = "" }: Inherited): number =>
  STRENGTH.findIndex((prefix) => component.startsWith(prefix));

/** Of equal strength the first by name, so that it does not matter which name of a leaf is looked at first. */
function strongest(a: Inherited | undefined, b: Inherited): Inherited {
  if (a === undefined) return b;
  const difference = strengthOf(a) - strengthOf(b);
  if (difference !== 0) return difference > 0 ? a : b;
  return (a.component ?? "") <= (b.component ?? "") ? a : b;
}

/** The directories of kernel modules bear a version; what is in them is the successor of what was. */
const withoutVersion = (path: string): string =>
  showByteString(path.replace(/^(usr\/)?lib\/modules\/[^/]+\//, "$1lib/modules/*/") as ByteString);

/** `usr/share/fonts`, `opt/app`, `etc`. */
function topOf(path: string): string {
  const names = path.split("/").slice(0, -1);
  return showByteString(names.slice(0, LEVELS[names[0] ?? ""] ?? 1).join("/") as ByteString);
}

/** Levels of directories that tell one thing from another. */
const LEVELS: Readonly<Record<string, number>> = { opt: 2, srv: 2, usr: 3, var: 3 };

/** Bytes of an entry in a tar, but for extended headers. */
export const tarSizeOf = (node: Leaf | Directory): number => HEADER_SIZE + alignUp(contentSize(node), HEADER_SIZE);

export function contentSize(node: Leaf | Directory): number {
  return node.kind === "file" ? sizeOf(node.content) : 0;
}

const sizeOf = (content: Content): number => (content.kind === "inline" ? content.bytes.length : Number(content.size));
