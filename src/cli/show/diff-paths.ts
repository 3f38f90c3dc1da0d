/** Changes of files as a tree of directories, each one knowing what changed below it. */
import type { DirectorySize } from "../../actions/diff/compare-trees.ts";
import type { FileChange } from "../../actions/diff/report.ts";
import type { Branch } from "./compact-tree.ts";

export interface PathItem {
  /** Name, or several with slashes between where each holds nothing but the next. */
  readonly label: string;
  /** The change of the entry itself; absent for a directory that is there only for what is below it. */
  readonly change?: FileChange;
  /** Changes below. */
  readonly added: number;
  readonly removed: number;
  readonly changed: number;
  /** Bytes that files below and the entry itself gained; a file counts at each of its names. */
  readonly growth: number;
}

interface PathNode {
  readonly name: string;
  change?: FileChange;
  readonly children: Map<string, PathNode>;
}

export function toPathBranches(changes: readonly FileChange[]): Branch<PathItem>[] {
  const root: PathNode = { name: "", children: new Map() };
  for (const change of changes) {
    let node = root;
    for (const name of change.path.split("/").filter((part) => part !== "")) {
      const next: PathNode = node.children.get(name) ?? { name, children: new Map() };
      node.children.set(name, next);
      node = next;
    }
    node.change = change;
  }
  const top = [...root.children.values()].map(toBranch);
  return root.change === undefined ? top : [{ item: itemOf("/", root.change, []), children: [], weight: 0 }, ...top];
}

function toBranch(node: PathNode): Branch<PathItem> {
  const children = [...node.children.values()].map(toBranch);
  const [only] = children;
  if (node.change === undefined && children.length === 1 && only !== undefined && only.children.length > 0) {
    return { ...only, item: { ...only.item, label: `${node.name}/${only.item.label}` } };
  }
  const item = itemOf(node.name, node.change, children);
  return { item, children, weight: isWhole(item) ? 0 : item.added + item.removed + item.changed };
}

function itemOf(label: string, change: FileChange | undefined, children: readonly Branch<PathItem>[]): PathItem {
  const sum = { added: 0, removed: 0, changed: 0, growth: growthOf(change) };
  for (const { item } of children) {
    for (const key of ["added", "removed", "changed", "growth"] as const) sum[key] += item[key];
    if (item.change !== undefined) sum[item.change.change] += 1;
  }
  return { label, ...(change === undefined ? {} : { change }), ...sum };
}

const growthOf = (change: FileChange | undefined): number => (change?.after?.size ?? 0) - (change?.before?.size ?? 0);

/** A directory that came or went with everything in it needs one line. */
export const isWhole = ({ added, change, changed, removed }: PathItem): boolean =>
  (change?.change === "added" && removed + changed === 0) || (change?.change === "removed" && added + changed === 0);

export interface SizeItem extends DirectorySize {
  readonly label: string;
}

/** Directories that grew or shrank, in the order of how much. */
export function toSizeBranches(sizes: readonly DirectorySize[]): Branch<SizeItem>[] {
  const byParent = new Map<string, DirectorySize[]>();
  const known = new Set(sizes.map(({ path }) => path));
  for (const size of sizes) {
    const parent = parentOf(size.path);
    // A directory whose parent kept its size stands at the top, under its whole path.
    const key = known.has(parent) ? parent : "";
    byParent.set(key, [...(byParent.get(key) ?? []), size]);
  }
  const most = Math.max(0, ...sizes.map(growthOfSize).map(Math.abs));
  return sizeBranchesBelow("", byParent, most / 100);
}

const parentOf = (path: string): string => path.slice(0, path.lastIndexOf("/"));

const growthOfSize = ({ after, before }: DirectorySize): number => after - before;

/** @param least growth below which nobody wants to know where it is */
function sizeBranchesBelow(
  path: string,
  byParent: ReadonlyMap<string, DirectorySize[]>,
  least: number,
): Branch<SizeItem>[] {
  const branches = (byParent.get(path) ?? []).map((size): Branch<SizeItem> => {
    const children = sizeBranchesBelow(size.path, byParent, least);
    const [only] = children;
    const label = size.path.slice(path.length + 1);
    if (only !== undefined && children.length === 1 && growthOfSize(only.item) === growthOfSize(size)) {
      return { ...only, item: { ...only.item, label: `${label}/${only.item.label}` } };
    }
    const growth = Math.abs(growthOfSize(size));
    return { item: { ...size, label }, children, weight: growth < least ? 0 : growth };
  });
  return branches.sort((a, b) => Math.abs(growthOfSize(b.item)) - Math.abs(growthOfSize(a.item)));
}
