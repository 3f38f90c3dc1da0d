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

/** Those of the branches, at any depth, that can be open at once without more than so many lines. */
export function branchesToOpen<T>(top: readonly Branch<T>[], lines: number): ReadonlySet<Branch<T>> {
  const open = new Set<Branch<T>>();
  const closed = [...top];
  for (let used = top.length; ; ) {
    const [next] = closed
      .filter(({ children, weight }) => weight > 0 && children.length > 0 && used + children.length <= lines)
      .sort((a, b) => b.weight - a.weight);
    if (next === undefined) return open;
    open.add(next);
    closed.splice(closed.indexOf(next), 1, ...next.children);
    used += next.children.length;
  }
}
