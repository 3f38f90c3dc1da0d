import { findText, parseCommandLine, parseKargsToml, type Uki } from "../../formats/uki/index.ts";
import { hostPlatform } from "../../model/image/host-platform.ts";
import { findArchitecture } from "../../model/os/index.ts";
import type { Notes } from "./notes.ts";
import type { ListChange } from "./report.ts";
import type { Side, Sides } from "./subjects.ts";

const NOTHING: ListChange = { added: [], removed: [] };

/** Parameters that an installer takes from kargs.d, for the architecture of the image. */
export function reportKargs({ a, b, differ }: Sides, notes: Notes): ListChange {
  return differ.has("kargs") ? compareLists(kargsOf(a, notes), kargsOf(b, notes)) : NOTHING;
}

function kargsOf(side: Side, notes: Notes): string[] {
  const { image, name } = side.source;
  const architecture = findArchitecture(image?.config.architecture ?? hostPlatform().architecture)?.kernel ?? "";
  return side.subjects.kargs.flatMap(
    (file) =>
      notes.attempt(`${name}: kernel arguments`, () => parseKargsToml(side.bytesOf(file), architecture, file.path)) ??
      [],
  );
}

/** Parameters on the command line of the UKI that boots. */
export function reportCommandLine({ a, b, differ }: Sides, notes: Notes): ListChange {
  return differ.has("ukis") ? compareLists(commandLineOf(a, notes), commandLineOf(b, notes)) : NOTHING;
}

function commandLineOf(side: Side, notes: Notes): string[] {
  const { kernel } = side.subjects;
  if (kernel?.unified !== true) return [];
  const read = () => findText(side.ukiOf(kernel.uki), ".cmdline") ?? "";
  const text = notes.attempt(`${side.source.name}: ${kernel.uki.path}`, read) ?? "";
  return parseCommandLine(text).map((parameter) => parameter.text);
}

/** What the command lines of an addon on both sides say; absent where neither has one, or both have the same. */
export function compareAddonCommandLines(before: Uki | undefined, after: Uki | undefined): ListChange | undefined {
  const change = compareLists(wordsOf(before), wordsOf(after));
  return change.added.length + change.removed.length === 0 ? undefined : change;
}

function wordsOf(addon: Uki | undefined): string[] {
  const text = addon === undefined ? undefined : findText(addon, ".cmdline");
  return parseCommandLine(text ?? "").map((parameter) => parameter.text);
}

/** What only one list has; what one has more often counts as often. */
function compareLists(before: readonly string[], after: readonly string[]): ListChange {
  return { added: without(after, before), removed: without(before, after) };
}

function without(list: readonly string[], taken: readonly string[]): string[] {
  const left = [...taken];
  return list.filter((item) => {
    const index = left.indexOf(item);
    if (index !== -1) left.splice(index, 1);
    return index === -1;
  });
}
