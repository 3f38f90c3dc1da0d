import { compareVersions, type Package, parsePackages } from "../../model/packages/index.ts";
import type { Notes } from "./notes.ts";
import { groupBy, isWhole, type Pair, pairUp } from "./pair-up.ts";
import type { PackageChange, PackagesReport } from "./report.ts";
import type { Side, Sides } from "./subjects.ts";

/** Packages by the databases of dpkg and RPM. */
export function reportPackages({ a, b, differ }: Sides, notes: Notes): PackagesReport {
  if (!differ.has("databases")) return { counts: null, changes: [] };
  const [before, after] = [packagesOf(a, notes), packagesOf(b, notes)];
  // Half a comparison would name every package of the other side.
  if (before === undefined || after === undefined) return { counts: null, changes: [] };
  return { counts: { before: before.length, after: after.length }, changes: comparePackages(before, after) };
}

function packagesOf(side: Side, notes: Notes): Package[] | undefined {
  for (const { log } of side.subjects.databases) {
    if (log === undefined) continue;
    const message = `${side.source.name}: ${log}: found changes that were not written to the database, which are not read`;
    notes.add("rpmdb.sqlite.log", message);
  }
  const lists = side.subjects.databases.map((database) =>
    notes.attempt(side.source.name, () => parsePackages(database, side.bytesOf(database))),
  );
  return lists.includes(undefined) ? undefined : lists.flatMap((list) => list ?? []);
}

/**
 * Pairs packages by name. Where a name is there several times (architectures, kernels that are kept), equal ones leave
 * the comparison first, then those of one architecture pair, then one that is left on each side.
 */
export function comparePackages(before: readonly Package[], after: readonly Package[]): PackageChange[] {
  const [left, right] = [groupBy(before, nameOf), groupBy(after, nameOf)];
  const names = [...new Set([...left.keys(), ...right.keys()])].sort();
  return names.flatMap((name) => pairInstances(left.get(name) ?? [], right.get(name) ?? []).map(toChange));
}

const nameOf = ({ manager, name }: Package): string => `${name} ${manager}`;
const instanceOf = ({ architecture, version }: Package): string => `${version} ${architecture}`;

function pairInstances(before: readonly Package[], after: readonly Package[]): Pair<Package>[] {
  const different = lonely(pairUp(before, after, instanceOf));
  const pairs = pairUp(different.before, different.after, ({ architecture }) => architecture);
  const rest = lonely(pairs);
  if (rest.before.length !== 1 || rest.after.length !== 1) return pairs;
  return [...pairs.filter(isWhole), { before: rest.before[0] as Package, after: rest.after[0] as Package }];
}

function lonely(pairs: readonly Pair<Package>[]) {
  const alone = pairs.filter((pair) => !isWhole(pair));
  return {
    before: alone.flatMap(({ before }) => before ?? []),
    after: alone.flatMap(({ after }) => after ?? []),
  };
}

function toChange({ after, before }: Pair<Package>): PackageChange {
  const { architecture, manager, name } = (after ?? before) as Package;
  return {
    manager,
    name,
    architecture,
    change: changeOf(before, after),
    ...(before === undefined ? {} : { before: before.version, ...optional("sizeBefore", before.installedSize) }),
    ...(after === undefined ? {} : { after: after.version, ...optional("sizeAfter", after.installedSize) }),
  };
}

const optional = <K extends string>(key: K, value: number | undefined) =>
  (value === undefined ? {} : { [key]: value }) as { readonly [P in K]?: number };

function changeOf(before: Package | undefined, after: Package | undefined): PackageChange["change"] {
  if (before === undefined) return "added";
  if (after === undefined) return "removed";
  const order = compareVersions(after.manager, before.version, after.version);
  return order < 0 ? "upgraded" : order > 0 ? "downgraded" : "changed";
}
