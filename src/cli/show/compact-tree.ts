/** A tree cut down to what fits: the heaviest branches are opened first. */
export interface Branch<T> {
  readonly item: T;
  readonly children: readonly Branch<T>[];
  /** Branches of more weight are opened before others; 0 is never opened. */
  readonly weight: number;
}

export interface CompactLine<T> {
  /** 0 for the branches at the top. */
  readonly depth: number;
  readonly item: T;
  readonly hasChildren: boolean;
}

/** @param lines at most that many, unless the top alone has more */
export function compactTree<T>(top: readonly Branch<T>[], lines: number): CompactLine<T>[] {
  const open = branchesToOpen(top, lines);
  const show = (branch: Branch<T>, depth: number): CompactLine<T>[] => [
    { depth, item: branch.item, hasChildren: branch.children.length > 0 },
    ...(open.has(branch) ? branch.children.flatMap((child) => show(child, depth + 1)) : []),
  ];
  return top.flatMap((branch) => show(branch, 0));
}

/** Those of the branches, at any depth, that can be open at once without more than so many lines; all without a limit. */
export function branchesToOpen<T>(top: readonly Branch<T>[], lines: number): ReadonlySet<Branch<T>> {
  const mayOpen = ({ children, weight }: Branch<T>) => children.length > 0 && (weight > 0 || !Number.isFinite(lines));
  const open = new Set<Branch<T>>();
  const closed = new Set(top.filter(mayOpen));
  let used = top.length;
  for (let next = heaviest(closed, lines - used); next !== undefined; next = heaviest(closed, lines - used)) {
    open.add(next);
    closed.delete(next);
    for (const child of next.children) if (mayOpen(child)) closed.add(child);
    used += next.children.length;
  }
  return open;
}

/** The one with most weight among those whose children are not too many. */
function heaviest<T>(branches: ReadonlySet<Branch<T>>, most: number): Branch<T> | undefined {
  let found: Branch<T> | undefined;
  for (const branch of branches) {
    // Without a limit all are opened, in any order.
    if (most === Number.POSITIVE_INFINITY) return branch;
    if (branch.children.length <= most && branch.weight > (found?.weight ?? 0)) found = branch;
  }
  return found;
}
