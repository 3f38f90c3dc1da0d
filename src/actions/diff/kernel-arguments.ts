import { findText, parseCommandLine, parseKargsToml } from "../../formats/uki/index.ts";
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
