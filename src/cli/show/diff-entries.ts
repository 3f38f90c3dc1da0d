/** How one changed entry is told. */
import type { EntryFacts, FileChange } from "../../actions/diff/report.ts";
import { arrow, showGrowth, showSizes } from "../../actions/diff/sections.ts";
import { showSize } from "../../lib/bytes/numbers.ts";
import { isWhole, type PathItem } from "./diff-paths.ts";

/** What is different, or what came and went: `content 1.0 KiB -> 1.2 KiB, mode 0644 -> 0755`. */
export function showEntry(change: FileChange): string {
  const { after, aspects, before } = change;
  if (before === undefined || after === undefined) return showFacts((after ?? before) as EntryFacts);
  // Times tell something only where nothing else does.
  const told = aspects.length > 1 ? aspects.filter((aspect) => aspect !== "mtime") : aspects;
  return told.map((aspect) => SHOW[aspect](before, after)).join(", ");
}

function showFacts({ device, kind, mode, size, target }: EntryFacts): string {
  if (target !== undefined) return `-> ${target}`;
  const what = size !== undefined ? showSize(size) : device === undefined ? kind : `${kind} ${device}`;
  return Number.parseInt(mode, 8) > 0o777 ? `${what}, ${mode}` : what;
}

const SHOW: Readonly<Record<FileChange["aspects"][number], (before: EntryFacts, after: EntryFacts) => string>> = {
  type: (before, after) => arrow(before.kind, after.kind),
  content: ({ size }, after) =>
    size === after.size ? `other content of ${showSize(after.size ?? 0)}` : `content ${showSizes(size, after.size)}`,
  target: (before, after) => arrow(before.target ?? "", after.target ?? ""),
  device: (before, after) => `device ${arrow(before.device ?? "", after.device ?? "")}`,
  mode: (before, after) => `mode ${arrow(before.mode, after.mode)}`,
  owner: (before, after) => `owner ${arrow(`${before.uid}:${before.gid}`, `${after.uid}:${after.gid}`)}`,
  xattrs: (before, after) => showXattrs(before.xattrs ?? {}, after.xattrs ?? {}),
  links: (before, after) => `names ${arrow(showNames(before), showNames(after))}`,
  mtime: (before, after) => `time ${arrow(before.mtime, after.mtime)}`,
};

const showNames = ({ names }: EntryFacts): string => (names === undefined ? "1" : String(names.length));

function showXattrs(before: Readonly<Record<string, string>>, after: Readonly<Record<string, string>>): string {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  const changed = names.filter((name) => before[name] !== after[name]);
  return changed.map((name) => `${name} ${arrow(before[name] ?? "none", after[name] ?? "none")}`).join(", ");
}

/** The rest of a line of the tree, behind the name. */
export function showPathItem(item: PathItem, hasChildren: boolean): string {
  const below = isWhole(item)
    ? `${item.added + item.removed} entries`
    : [["+", item.added] as const, ["-", item.removed] as const, ["~", item.changed] as const]
        .flatMap(([mark, count]) => (count === 0 ? [] : [`${mark}${count}`]))
        .join(" ");
  if (!hasChildren) return item.change === undefined ? "" : showEntry(item.change);
  const own = item.change?.change === "changed" ? showEntry(item.change) : "";
  const growth = item.growth === 0 ? "" : showGrowth(item.growth);
  return [own, below, growth].filter((part) => part !== "").join("  ");
}
