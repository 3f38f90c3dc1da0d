import type { RechunkedLayer, RechunkReport } from "../../actions/rechunk/report.ts";
import { showSize } from "../../lib/bytes/numbers.ts";
import type { Shown } from "../perform.ts";
import { printable } from "./printable.ts";

/** Layers with this many names are cut short. */
const NAMES = 4;

/** Packing anew costs hosts every layer once: it is worth a word when an update is to cost that much less. */
const REPACK_BELOW = 0.8;

/** The layers, lowest first, and what an update is expected to cost. */
export function showRechunk(report: RechunkReport): Shown {
  const { digest, expected, layers, previous, sourceLayers } = report;
  const size = layers.reduce((sum, layer) => sum + layer.size, 0);
  const tarSize = layers.reduce((sum, layer) => sum + layer.tarSize, 0);
  const rows: [string, string][] = [
    ["image", `${report.destination}  ${report.manifestDigest}`],
    ...(digest === null ? [] : [["digest", `${digest.format} ${digest.hex}`] as [string, string]]),
    ["tree", `${report.entries} entries in ${report.components} components, the same as in ${report.source}`],
    ["layers", `${layers.length} (${showSize(size)}) from ${sourceLayers.count} (${showSize(sourceLayers.size)})`],
    [
      "an update",
      `is expected to change ${showSize(expected.update)} of ${showSize(tarSize)} unpacked (in one layer: ${showSize(expected.atMost)}, in any number: ${showSize(expected.atLeast)})`,
    ],
    ...previous.map((each): [string, string] => [
      "shared",
      `${each.shared.count} layers (${showSize(each.shared.size)}) with ${each.name}${each.layoutKept ? ", whose layout is kept" : ""}`,
    ]),
  ];
  if (expected.repacked !== undefined && expected.repacked < REPACK_BELOW * expected.update) {
    rows.push([
      "hint",
      `packed anew it would be ${showSize(expected.repacked)}, once all layers are fetched: --repack`,
    ]);
  }
  const head = rows.map(([title, value]) => `${title.padEnd(9)} ${printable(value)}`);
  const warnings = report.warnings.map(({ code, message }) => `warning: ${printable(message)} [${code}]`);
  const table = ["    size   unpacked  change  content", ...layers.map(showLayer)];
  return { text: [...warnings, ...head, "", ...table].join("\n"), json: report };
}

function showLayer({ components, entries, probability, reusedFrom, size, tarSize }: RechunkedLayer): string {
  const change = `${Math.round(100 * probability)} %`;
  const more = components.length - NAMES;
  const named = [...components.slice(0, NAMES), ...(more > 0 ? [`and ${more} more`] : [])].join(", ");
  const content = components.length === 0 ? "directories, /boot" : named;
  const columns = [showSize(size).padStart(10), showSize(tarSize).padStart(10), change.padStart(6)];
  return `${columns.join(" ")}  ${printable(content)}, ${entries} entries${reusedFrom === undefined ? "" : ", reused"}`;
}
