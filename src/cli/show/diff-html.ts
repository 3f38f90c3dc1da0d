/** A comparison as one HTML file. */
import type { DiffReport, Transfer } from "../../actions/diff/report.ts";
import { countBy, diffSections, MARKS, type Mark, type Section, showGrowth } from "../../actions/diff/sections.ts";
import { showSize } from "../../lib/bytes/numbers.ts";
import { type Filling, html } from "../html/html.ts";
import { badge, factTable, renderPage, type Tone, table } from "../html/page.ts";
import { type Branch, branchesToOpen } from "./compact-tree.ts";
import { isQuiet, showCounts, showTransfer, sideRows } from "./diff.ts";
import { showPathItem } from "./diff-entries.ts";
import { type PathItem, type SizeItem, toPathBranches, toSizeBranches } from "./diff-paths.ts";

/** Most entries of the file tree. Browsers open more only slowly; the JSON has all. */
const MAX_ENTRIES = 10_000;

export function renderDiff(report: DiffReport): string {
  const sections = diffSections(report);
  const quiet = sections.filter(isQuiet).map(({ title }) => title);
  return renderPage({
    title: "What changed between two images",
    verdict: verdictOf(report),
    body: html`<section><h2>A</h2>${factTable([["source", report.a.source], ...sideRows(report.a)])}
<h2>B</h2>${factTable([["source", report.b.source], ...sideRows(report.b)])}</section>
${report.notes.length > 0 && html`<section><h2>Notes</h2><ul>${report.notes.map(({ code, message }) => html`<li>${message} <code>${code}</code></li>`)}</ul></section>`}
${sections.filter((section) => !isQuiet(section)).map(renderSection)}
${renderFiles(report)}
${renderSizes(report)}
${renderFetch(report)}
${quiet.length > 0 && html`<p class="faint">Unchanged: ${quiet.join(", ")}.</p>`}`,
  });
}

function verdictOf({ differs, files, packages, privileges }: DiffReport): { tone: Tone; text: string } {
  if (!differs) return { tone: "good", text: "The trees are the same." };
  const facts = [
    `Files: ${showCounts({ added: files.added, removed: files.removed, changed: files.changed, "with another time only": files.timesOnly })}`,
    ...(packages.changes.length === 0 ? [] : [`packages: ${countBy(packages.changes.map(({ change }) => change))}`]),
    ...(privileges.length === 0
      ? []
      : [`set-id programs and capabilities: ${countBy(privileges.map(({ change }) => change))}`]),
  ];
  return { tone: privileges.length > 0 ? "warn" : "plain", text: `${facts.join("; ")}.` };
}

const TONES: Readonly<Record<Mark, Tone>> = { "+": "good", "-": "bad", "~": "warn" };
const WORDS: Readonly<Record<Mark, string>> = { "+": "added", "-": "removed", "~": "changed" };

const markBadge = (mark: Mark) => badge(TONES[mark], WORDS[mark]);

function renderSection({ rows, summary, title }: Section) {
  const width = Math.max(0, ...rows.map(({ cells }) => cells.length));
  const filled = rows.map(({ cells, mark }): Filling[] => [
    markBadge(mark),
    ...Array.from({ length: width }, (_, index) =>
      index === 0 ? html`<code>${cells[0]}</code>` : (cells[index] ?? ""),
    ),
  ]);
  const head = Array.from({ length: width + 1 }, () => "");
  return html`<section><h2>${title[0]?.toUpperCase()}${title.slice(1)}</h2><p class="faint">${summary}</p>
${rows.length > 0 && table(head, filled)}</section>`;
}

function renderFiles({ files }: DiffReport) {
  const { added, changed, changes, removed, timesOnly } = files;
  if (changes.length + timesOnly === 0) return undefined;
  const counts = showCounts({ added, removed, changed, "with another time only": timesOnly });
  const left = changes.length - MAX_ENTRIES;
  return html`<section><h2>Files</h2><p class="faint">${counts}</p>
${renderTree(toPathBranches(changes.slice(0, MAX_ENTRIES)), pathLine)}
${left > 0 && html`<p class="faint">And ${left} more: the JSON report has all of them.</p>`}</section>`;
}

const pathLine = ({ children, item }: Branch<PathItem>): Filling => {
  const mark = item.change && markBadge(MARKS[item.change.change]);
  const hasChildren = children.length > 0;
  return html`${mark} <code>${item.label}${hasChildren ? "/" : ""}</code> <span class="faint">${showPathItem(item, hasChildren)}</span>`;
};

/** Lines of a tree that are open when the page is. */
const OPEN_LINES = 40;

/** Nested lists, of which each can be opened and closed. */
function renderTree<T>(top: readonly Branch<T>[], line: (branch: Branch<T>) => Filling): Filling {
  const open = branchesToOpen(top, OPEN_LINES);
  const list = (branches: readonly Branch<T>[]): Filling =>
    html`<ul style="list-style: none; padding-left: 1.25rem">${branches.map((branch) => html`<li>${entry(branch)}</li>\n`)}</ul>`;
  const entry = (branch: Branch<T>): Filling => {
    if (branch.children.length === 0) return line(branch);
    const content = html`<summary>${line(branch)}</summary>${list(branch.children)}`;
    return open.has(branch) ? html`<details open="open">${content}</details>` : html`<details>${content}</details>`;
  };
  return list(top);
}

function renderSizes({ sizes }: DiffReport) {
  const { after, before, directories } = sizes;
  if (before === after && directories.length === 0) return undefined;
  return html`<section><h2>Size</h2><p>${showSize(before)} → ${showSize(after)} (${showGrowth(after - before)})</p>
${renderTree(toSizeBranches(directories), sizeLine)}</section>`;
}

const sizeLine = ({ item: { after, before, label } }: Branch<SizeItem>): Filling =>
  html`<code>${label}/</code> ${showGrowth(after - before)} <span class="faint">${showSize(before)} → ${showSize(after)}</span>`;

const transferRow = (what: string, transfer: Transfer) => [`by ${what}`, showTransfer(transfer, `${what}s`)] as const;

function renderFetch({ fetch: { layers, objects } }: DiffReport) {
  return html`<section><h2>To fetch for B on a host that holds A</h2>
${factTable([...(layers === null ? [] : [transferRow("layer", layers)]), transferRow("object", objects)])}
${
  layers !== null &&
  table(
    ["", "layer", "size", "made by"],
    layers.list.map(({ createdBy, digest, reused, size }) => [
      reused ? badge("good", "held") : badge("warn", "fetched"),
      html`<code>${digest}</code>`,
      showSize(size),
      createdBy ?? "",
    ]),
  )
}</section>`;
}
