import type { Amount, Measured, UpdateReport } from "../../actions/plan-update/report.ts";
import { showSize } from "../../lib/bytes/numbers.ts";
import type { Shown } from "../perform.ts";
import { printable } from "./printable.ts";

const DEFAULT_LIMIT = 10;

/** The ways an update can go, then the packages and the files that cause the bytes. */
export function showUpdate(report: UpdateReport, limit = DEFAULT_LIMIT): Shown {
  const notes = report.notes.map(({ code, message }) => `note: ${printable(message)} [${code}]`);
  const parts = [
    [`from ${printable(report.from.source)}`, `to   ${printable(report.to.source)}`],
    showWays(report),
    showList("components", report.components, limit, ({ files, name }) => `${name} (${files})`),
    showList("files", report.files, limit, ({ base, delta, path }) =>
      base === null && delta !== null ? `${path}, new` : path,
    ),
  ];
  return { text: [...notes, ...parts.map((lines) => lines.join("\n"))].join("\n\n"), json: report };
}

type Row = readonly [way: string, fetched: string, of: string];

function showWays({ deltas, from, layers, metadata, objects, rechunked, to }: UpdateReport): string[] {
  const rows: Row[] = [["a host fetches", "", ""]];
  if (layers !== null) {
    rows.push(["by layers", showSize(layers.fetched.size), showPart(layers.fetched, layers.total, "layers")]);
  }
  if (rechunked !== null) {
    const { count, size } = rechunked.fetched;
    rows.push(["by layers, both rechunked", showSize(size), `${count} of ${rechunked.layers} layers`]);
  }
  const part = showPart(objects.fetched, objects.total, "objects");
  rows.push(["by objects", showSize(objects.fetched.size), part]);
  if (objects.compressed !== null) {
    rows.push(["by objects, compressed", showSize(objects.compressed), "each on its own, zstd"]);
  }
  if (deltas !== null) {
    const more =
      typeof metadata?.delta !== "number" ? "" : `; ${showSize(metadata.delta)} more for the composefs image`;
    rows.push(["by deltas", showSize(deltas.size), `${deltas.based} changes of old files${more}`]);
  }
  if (layers === null && to.layerSize === undefined && from.layerSize !== undefined) {
    rows.push(["", "", "layers are compared between images alone"]);
  }
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => (row[column] as string).length)));
  return rows.map(([way, fetched, of]) =>
    `${way.padEnd(widths[0] as number)}  ${fetched.padStart(widths[1] as number)}  ${of}`.trimEnd(),
  );
}

const showPart = (part: Amount, all: Amount, unit: string): string =>
  `${part.count} of ${all.count} ${unit}, of ${showSize(all.size)}`;

function showList<T extends Measured>(title: string, items: readonly T[], limit: number, nameOf: (item: T) => string) {
  if (items.length === 0) return [`${title}: none`];
  const shown = limit === 0 ? items : items.slice(0, limit);
  const head = `${"size".padStart(10)} ${"compressed".padStart(10)} ${"delta".padStart(10)}  ${title}`;
  const rows = shown.map((item) => `${showMeasured(item)}  ${printable(nameOf(item))}`);
  const rest = items.length - shown.length;
  return [head, ...rows, ...(rest > 0 ? [`${" ".repeat(32)}  and ${rest} more`] : [])];
}

const showMeasured = ({ compressed, delta, size }: Measured): string =>
  [size, compressed, delta].map((bytes) => (bytes === null ? "-" : showSize(bytes)).padStart(10)).join(" ");
