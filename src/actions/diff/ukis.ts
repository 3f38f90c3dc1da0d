import { hash } from "node:crypto";
import type { StoredSection, Uki } from "../../formats/uki/index.ts";
import { equalBytes } from "../../lib/bytes/numbers.ts";
import type { BootFile } from "../../model/os/index.ts";
import { compareAddonCommandLines } from "./kernel-arguments.ts";
import type { Notes } from "./notes.ts";
import { isWhole, type Pair, pairUp, toPair } from "./pair-up.ts";
import type { ListChange, SectionChange, Stored, UkiChange } from "./report.ts";
import type { Side, Sides } from "./subjects.ts";

/** UKIs and addons that differ, section by section. */
export function reportUkis({ a, b, differ }: Sides, notes: Notes): UkiChange[] {
  if (!differ.has("ukis")) return [];
  return pairUkis(a.subjects.ukis, b.subjects.ukis).flatMap(({ after, before }) => {
    const path = (after ?? before)?.path as string;
    const sections = pairUp(sectionsOf(a, before, notes), sectionsOf(b, after, notes), ({ name }) => name);
    const isMoved = before !== undefined && after !== undefined && before.path !== after.path;
    const isSame = before !== undefined && after !== undefined && equalBytes(a.bytesOf(before), b.bytesOf(after));
    if (isSame && !isMoved) return [];
    const commandLine = (after ?? before)?.kind === "uki" ? undefined : commandLinesOf({ a, b }, before, after, notes);
    return [
      {
        change: before === undefined ? "added" : after === undefined ? "removed" : "changed",
        path,
        ...(isMoved ? { pathBefore: before.path } : {}),
        ...(commandLine === undefined ? {} : { commandLine }),
        sections: sections.flatMap(toChange),
      },
    ];
  });
}

/** By path. One UKI on each side is the same UKI however it is called: its name has the kernel's version. */
function pairUkis(before: readonly BootFile[], after: readonly BootFile[]): Pair<BootFile>[] {
  const pairs = pairUp(before, after, ({ path }) => path);
  const alone = pairs.filter((pair) => !isWhole(pair) && (pair.before ?? pair.after)?.kind === "uki");
  const [olds, news] = [alone.filter(({ after: one }) => !one), alone.filter(({ before: one }) => !one)];
  if (olds.length !== 1 || news.length !== 1) return pairs;
  return [toPair(olds[0]?.before, news[0]?.after), ...pairs.filter((pair) => !alone.includes(pair))];
}

function commandLinesOf(
  { a, b }: Pick<Sides, "a" | "b">,
  before: BootFile | undefined,
  after: BootFile | undefined,
  notes: Notes,
): ListChange | undefined {
  const [from, to] = [before && ukiOf(a, before, notes), after && ukiOf(b, after, notes)];
  return notes.attempt("addon", () => compareAddonCommandLines(from, to));
}

const ukiOf = (side: Side, file: BootFile, notes: Notes): Uki | undefined =>
  notes.attempt(`${side.source.name}: ${file.path}`, () => side.ukiOf(file));

function sectionsOf(side: Side, file: BootFile | undefined, notes: Notes): StoredSection[] {
  if (file === undefined) return [];
  const uki = ukiOf(side, file, notes);
  return uki === undefined ? [] : allSections(uki);
}

const allSections = ({ base, profiles }: Uki): StoredSection[] => [
  ...base,
  ...profiles.flatMap(({ sections }, number) =>
    sections.map(({ content, name }) => ({ name: `${number}/${name}`, content })),
  ),
];

function toChange({ after, before }: Pair<StoredSection>): SectionChange[] {
  if (before !== undefined && after !== undefined) {
    if (equalBytes(before.content, after.content)) return [];
    return [{ name: after.name, change: "changed", before: stored(before), after: stored(after) }];
  }
  if (after !== undefined) return [{ name: after.name, change: "added", after: stored(after) }];
  return before === undefined ? [] : [{ name: before.name, change: "removed", before: stored(before) }];
}

const stored = ({ content }: StoredSection): Stored => ({ size: content.length, sha256: hash("sha256", content) });
