/** The parts of a comparison that are lists, the same for text and HTML. */

import { showSize } from "../../lib/bytes/numbers.ts";
import type {
  Change,
  DiffReport,
  InitramfsFacts,
  ListChange,
  MemberChange,
  PackageChange,
  PrivilegeChange,
  Privileges,
  SectionChange,
  UkiChange,
  UnitChange,
} from "./report.ts";

export interface Section {
  readonly title: string;
  /** Behind the title: what there is in numbers. */
  readonly summary: string;
  readonly rows: readonly Row[];
}

export interface Row {
  readonly mark: Mark;
  /** What it is, then what happened to it. */
  readonly cells: readonly string[];
}

export type Mark = "+" | "-" | "~";

export const MARKS: Readonly<Record<Change, Mark>> = { added: "+", removed: "-", changed: "~" };

/** What matters first comes first. A section without changes has no rows. */
export function diffSections(report: DiffReport): Section[] {
  const { initramfs, kernelArguments, packages, privileges, ukis, units } = report;
  return [
    section("set-id programs and capabilities", privileges.map(privilegeRow)),
    section("systemd units", units.map(unitRow)),
    section("kernel arguments (kargs.d)", argumentRows(kernelArguments.kargs)),
    section("command line of the UKI", argumentRows(kernelArguments.commandLine)),
    section("UKIs", ukis.flatMap(ukiRows), countBy(ukis.map(({ change }) => change))),
    section("initramfs", (initramfs?.members ?? []).map(memberRow), initramfsSummary(report)),
    section("packages", packages.changes.map(packageRow), packageSummary(report)),
  ];
}

const section = (title: string, rows: readonly Row[], summary = countMarks(rows)): Section => ({
  title,
  summary,
  rows,
});

function countMarks(rows: readonly Row[]): string {
  const words = { "+": "added", "-": "removed", "~": "changed" } as const;
  return countBy(rows.map(({ mark }) => words[mark]));
}

export function countBy(words: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return [...counts].map(([word, count]) => `${count} ${word}`).join(", ");
}

export const arrow = (before: string, after: string): string => `${before} -> ${after}`;

function privilegeRow({ after, before, change, contentChanged, path }: PrivilegeChange): Row {
  const [old, now] = [showPrivileges(before), showPrivileges(after)];
  const rights = change === "changed" ? (old === now ? now : arrow(old, now)) : change === "added" ? now : old;
  return { mark: MARKS[change], cells: [path, contentChanged ? `${rights}, other content` : rights] };
}

function showPrivileges(rights: Privileges | undefined): string {
  if (rights === undefined) return "no file";
  const { capabilities, gid, mode, setgid, setuid, uid } = rights;
  const words = [setuid ? `setuid ${uid}` : "", setgid ? `setgid ${gid}` : "", capabilities?.text ?? ""];
  return `${mode} ${words.filter((word) => word !== "").join(" ") || "no more rights"}`;
}

function unitRow({ by, change, kind, path, scope, target, unit }: UnitChange): Row {
  const what = {
    unit: "unit",
    "drop-in": "drop-in",
    enablement: `${{ added: "enabled", removed: "no longer enabled", changed: "enablement" }[change]} by ${by}`,
    alias: `alias of ${target}`,
    mask: change === "removed" ? "no longer masked" : "masked",
    preset: "preset",
  }[kind];
  return { mark: MARKS[change], cells: [scope === "user" ? `${unit} (user)` : unit, what, path] };
}

const argumentRows = ({ added, removed }: ListChange): Row[] => [
  ...removed.map((text): Row => ({ mark: "-", cells: [text] })),
  ...added.map((text): Row => ({ mark: "+", cells: [text] })),
];

function ukiRows({ change, commandLine, path, pathBefore, sections }: UkiChange): Row[] {
  const head: Row = { mark: MARKS[change], cells: [pathBefore === undefined ? path : arrow(pathBefore, path)] };
  const words = commandLine === undefined ? [] : argumentRows(commandLine);
  return [
    head,
    ...words.map(({ cells, mark }) => ({ mark, cells: cells.map((cell) => `  ${cell}`) })),
    ...sections.map(sectionRow),
  ];
}

const sectionRow = ({ after, before, change, name }: SectionChange): Row => ({
  mark: MARKS[change],
  cells: [`  ${name}`, showSizes(before?.size, after?.size)],
});

const memberRow = ({ aspects, change, path, sizeAfter, sizeBefore }: MemberChange): Row => ({
  mark: MARKS[change],
  cells: [path, showSizes(sizeBefore, sizeAfter), aspects.join(", ")],
});

/** `1 KiB -> 2 KiB`; one size where the other is absent or the same. */
export function showSizes(before: number | undefined, after: number | undefined): string {
  const [old, now] = [before, after].map((size) => (size === undefined ? undefined : showSize(size)));
  if (before === after || old === undefined || now === undefined) return now ?? old ?? "";
  return old === now ? `${old} (${showGrowth((after ?? 0) - (before ?? 0))})` : arrow(old, now);
}

/** `+1.5 KiB`, `-12 B`, `0 B`. */
export function showGrowth(bytes: number): string {
  return `${bytes > 0 ? "+" : bytes < 0 ? "-" : ""}${showSize(Math.abs(bytes))}`;
}

function initramfsSummary({ initramfs }: DiffReport): string {
  if (initramfs === null) return "";
  const { after, before, members } = initramfs;
  const [old, now] = [showInitramfs(before), showInitramfs(after)];
  const files = countBy(members.map(({ change }) => change));
  return [arrow(old, now), files].filter((part) => part !== "").join("; ");
}

function showInitramfs(facts: InitramfsFacts | null): string {
  if (facts === null) return "none";
  const archives = facts.archives.map(({ compression }) => (compression === "none" ? "cpio" : compression)).join(" + ");
  return `${showSize(facts.size)} (${archives || "unreadable"})`;
}

const PACKAGE_MARKS: Readonly<Record<PackageChange["change"], Mark>> = {
  added: "+",
  removed: "-",
  upgraded: "~",
  downgraded: "~",
  changed: "~",
};

function packageRow({ after, architecture, before, change, name, sizeAfter, sizeBefore }: PackageChange): Row {
  const version = before === undefined || after === undefined ? (after ?? before ?? "") : arrow(before, after);
  const word = change === "changed" ? "other architecture" : change;
  const grown = (sizeAfter ?? 0) - (sizeBefore ?? 0);
  return {
    mark: PACKAGE_MARKS[change],
    cells: [
      `${name}${architecture === "" ? "" : `.${architecture}`}`,
      version,
      word,
      grown === 0 ? "" : showGrowth(grown),
    ],
  };
}

function packageSummary({ packages: { changes, counts } }: DiffReport): string {
  const words = ["upgraded", "downgraded", "added", "removed", "changed"] as const;
  const numbers = words.flatMap((word) => {
    const count = changes.filter(({ change }) => change === word).length;
    return count === 0 ? [] : [`${count} ${word}`];
  });
  return [
    ...numbers,
    ...(counts === null ? [] : [`${arrow(String(counts.before), String(counts.after))} in all`]),
  ].join(", ");
}
