/** A comparison as text: the two sides, what matters first, the files as a tree, sizes, what is to be fetched. */
import type { DiffReport, SideReport, Transfer } from "../../actions/diff/report.ts";
import { diffSections, MARKS, type Row, type Section, showGrowth } from "../../actions/diff/sections.ts";
import { showSize } from "../../lib/bytes/numbers.ts";
import type { Shown } from "../perform.ts";
import { compactTree } from "./compact-tree.ts";
import { showEntry, showPathItem } from "./diff-entries.ts";
import { toPathBranches, toSizeBranches } from "./diff-paths.ts";

export interface DiffView {
  /** Every changed file in a line of its own instead of the tree. */
  readonly files: boolean;
  /** Most lines of a part; 0 for all. */
  readonly limit: number;
  /** Exit status 1 when the sides differ. */
  readonly exitCode: boolean;
}

export function showDiff(report: DiffReport, view: DiffView): Shown {
  const limit = view.limit === 0 ? Number.POSITIVE_INFINITY : view.limit;
  const sections = diffSections(report);
  const quiet = sections.filter(isQuiet).map(({ title }) => title);
  const lines = [
    ...showSide("A", report.a),
    ...showSide("B", report.b),
    ...report.notes.map(({ code, message }) => `note: ${message} [${code}]`),
    "",
    ...(report.differs ? [] : ["the trees are the same", ""]),
    ...sections.filter((section) => !isQuiet(section)).flatMap((section) => showSection(section, limit)),
    ...showFiles(report, view.files, limit),
    ...showSizesTree(report, limit),
    ...showFetch(report),
    ...(report.differs && quiet.length > 0 ? [`unchanged: ${quiet.join(", ")}`] : []),
  ];
  return { text: lines.join("\n"), json: report, ...(view.exitCode && report.differs ? { exitCode: 1 } : {}) };
}

export const isQuiet = ({ rows, summary }: Section): boolean => rows.length === 0 && summary === "";

function showSide(letter: string, side: SideReport): string[] {
  return [`${letter}  ${side.source}`, ...sideRows(side).map(([title, value]) => `   ${title.padEnd(9)} ${value}`)];
}

/** Facts of a side by title. */
export function sideRows(side: SideReport): [title: string, value: string][] {
  const { digest, entries, kernel, manifestDigest, os, size } = side;
  return [
    ...(manifestDigest === undefined ? [] : ([["manifest", manifestDigest]] as [string, string][])),
    ["digest", digest === null ? "none, see the notes" : `${digest.format} ${digest.hex}`],
    ["OS", os === null ? "<unknown>" : os.name],
    ["kernel", kernel === null ? "<none>" : `${kernel.version} (${kernel.unified ? "UKI" : "vmlinuz"})`],
    ["tree", `${entries} entries, ${showSize(size)}`],
  ];
}

function showSection({ rows, summary, title }: Section, limit: number): string[] {
  return [`${title}: ${summary}`, ...cut(showRows(rows.slice(0, limit)), rows.length), ""];
}

/** Columns as wide as what is in them, within reason. */
function showRows(rows: readonly Row[]): string[] {
  const widths = rows.reduce<number[]>((known, { cells }) => {
    const wide = cells.slice(0, -1).map((cell, index) => Math.max(known[index] ?? 0, Math.min(cell.length, 48)));
    return [...wide, ...known.slice(wide.length)];
  }, []);
  return rows.map(({ cells, mark }) => {
    const columns = cells.map((cell, index) => (index === cells.length - 1 ? cell : cell.padEnd(widths[index] ?? 0)));
    return `  ${mark} ${columns.join("  ")}`.trimEnd();
  });
}

function cut(lines: readonly string[], total: number): string[] {
  const left = total - lines.length;
  return left > 0 ? [...lines, `  ... and ${left} more (--limit 0 shows all)`] : [...lines];
}

function showFiles({ files }: DiffReport, flat: boolean, limit: number): string[] {
  const { added, aspects, changed, changes, removed, timesOnly } = files;
  if (changes.length + timesOnly === 0) return [];
  const numbers = `files: ${showCounts({ added, removed, changed, "with another time only": timesOnly })}`;
  const kinds = Object.entries(aspects).filter(([aspect]) => aspect !== "mtime");
  const what = kinds.length === 0 ? [] : [`  (${kinds.map(([aspect, count]) => `${aspect} ${count}`).join(", ")})`];
  const list = changes
    .slice(0, limit)
    .map((change) => `  ${MARKS[change.change]} ${change.path}  ${showEntry(change)}`);
  return [numbers, ...what, ...(flat ? cut(list, changes.length) : showTree(files.changes, limit)), ""];
}

/** `2 added, 1 changed`: what there is none of is left out. */
export const showCounts = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .flatMap(([what, count]) => (count === 0 ? [] : [`${count} ${what}`]))
    .join(", ");

function showTree(changes: DiffReport["files"]["changes"], limit: number): string[] {
  return compactTree(toPathBranches(changes), limit).map(({ depth, hasChildren, item }) => {
    const mark = item.change === undefined ? " " : MARKS[item.change.change];
    const name = `${"  ".repeat(depth)}${item.label}${hasChildren ? "/" : ""}`;
    return `  ${mark} ${name.padEnd(40)}  ${showPathItem(item, hasChildren)}`.trimEnd();
  });
}

function showSizesTree({ sizes }: DiffReport, limit: number): string[] {
  const { after, before, directories } = sizes;
  if (directories.length === 0) return before === after ? [] : [sizeLine(before, after), ""];
  // A third: sizes are an overview, and what grew is among the files, too.
  const lines = compactTree(toSizeBranches(directories), Math.ceil(limit / 3));
  return [
    sizeLine(before, after),
    ...lines.map(({ depth, item }) => {
      const grown = showGrowth(item.after - item.before).padStart(12);
      return `  ${grown}  ${"  ".repeat(depth)}${item.label}/  (${showSize(item.before)} -> ${showSize(item.after)})`;
    }),
    "",
  ];
}

const sizeLine = (before: number, after: number): string =>
  `size: ${showSize(before)} -> ${showSize(after)} (${showGrowth(after - before)})`;

function showFetch({ fetch: { layers, objects } }: DiffReport): string[] {
  return [
    "to fetch for B on a host that holds A",
    ...(layers === null ? [] : [`  by layer:   ${showTransfer(layers, "layers")}`]),
    `  by object:  ${showTransfer(objects, "objects")}`,
    "",
  ];
}

/** `1 of 5 layers, 12.0 MiB of 310.2 MiB (96.1 % reused)`. */
export function showTransfer({ fetched, reusedPercent, total }: Transfer, what: string): string {
  const bytes = `${showSize(fetched.size)} of ${showSize(total.size)}`;
  return `${fetched.count} of ${total.count} ${what}, ${bytes} (${reusedPercent.toFixed(1)} % reused)`;
}
