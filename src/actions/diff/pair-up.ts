/** What two lists have under one key, and what only one of them has. */
export interface Pair<T> {
  readonly before?: T;
  readonly after?: T;
}

/** Pairs in the order of their keys. A key that a list has several times pairs in list order. */
export function pairUp<T>(before: readonly T[], after: readonly T[], keyOf: (item: T) => string): Pair<T>[] {
  const [left, right] = [groupBy(before, keyOf), groupBy(after, keyOf)];
  const keys = [...new Set([...left.keys(), ...right.keys()])].sort();
  return keys.flatMap((key) => {
    const [olds, news] = [left.get(key) ?? [], right.get(key) ?? []];
    return Array.from({ length: Math.max(olds.length, news.length) }, (_, index) => toPair(olds[index], news[index]));
  });
}

export function toPair<T>(before: T | undefined, after: T | undefined): Pair<T> {
  return { ...(before === undefined ? {} : { before }), ...(after === undefined ? {} : { after }) };
}

export const isWhole = <T>({ after, before }: Pair<T>): boolean => before !== undefined && after !== undefined;

export function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group === undefined) groups.set(keyOf(item), [item]);
    else group.push(item);
  }
  return groups;
}
