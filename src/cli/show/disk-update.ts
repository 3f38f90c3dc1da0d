import type { DiskUpdateReport } from "../../actions/disk/update/report.ts";
import { showSize } from "../../lib/bytes/numbers.ts";
import type { Shown } from "../perform.ts";
import { printable } from "./printable.ts";

/** Names of files that are told one by one. */
const SHOWN_MAX = 8;

/** What boots now, what is kept, and what moved. */
export function showDiskUpdate(report: DiskUpdateReport): Shown {
  const { disk, format, id, manifestDigest, output, update } = report;
  if (update === null) {
    const lines = [
      `${disk} boots this image already: nothing to do`,
      `image         ${manifestDigest}`,
      `deployment    ${id}`,
    ];
    return { text: lines.map(printable).join("\n"), json: report };
  }
  const { deployment, dropped, entry, esp, etc, kept, objects, root } = update;
  const rows: [string, string][] = [
    ["disk", `${output}  ${format}, ${showSize(update.size)}`],
    ["image", manifestDigest],
    ["deployment", deployment.id],
    ["boots", deployment.bootType === "uki" ? "a UKI" : "a kernel and an initramfs, unsealed"],
    ["entry", entry],
    ...(kept === null ? [] : [["kept", kept.id] as [string, string], ["", kept.entry] as [string, string]]),
    ...dropped.map((one): [string, string] => ["dropped", one]),
    [
      "objects",
      `${counted(objects.added)} added; ${counted(objects.shared)} shared; ${counted(objects.removed)} removed`,
    ],
    ["/etc", describeEtc(etc.carried, etc.removed)],
    ["free", `${showSize(root.freeSize)} on root, ${showSize(esp.freeSize)} on the ESP`],
  ];
  const warnings = update.warnings.map(({ code, message }) => `warning: ${message} [${code}]`);
  const lines = rows.map(([title, value]) => `${title.padEnd(13)} ${value}`);
  return { text: [...warnings, ...lines].map(printable).join("\n"), json: report };
}

const counted = ({ count, size }: { readonly count: number; readonly size: number }): string =>
  `${count}, ${showSize(size)}`;

function describeEtc(carried: readonly string[], removed: readonly string[]): string {
  if (carried.length + removed.length === 0) return "as in the image: the host has changed nothing";
  const parts = [
    ...(carried.length === 0 ? [] : [`carried over: ${listed(carried)}`]),
    ...(removed.length === 0 ? [] : [`removed: ${listed(removed)}`]),
  ];
  return parts.join("; ");
}

function listed(paths: readonly string[]): string {
  const more = paths.length - SHOWN_MAX;
  return [...paths.slice(0, SHOWN_MAX), ...(more > 0 ? [`and ${more} more`] : [])].join(", ");
}
