import type { DiskReport } from "../../actions/disk/report.ts";
import { showSize } from "../../lib/bytes/numbers.ts";
import type { Shown } from "../perform.ts";

/** The disk, and what is where on it. */
export function showDisk(report: DiskReport): Shown {
  const { deployment, entry, esp, format, objects, partitions, root } = report;
  const free = new Map([
    ["EFI-SYSTEM", `, ${showSize(esp.freeSize)} free`],
    ["root", `, ${showSize(root.freeSize)} free`],
  ]);
  const rows: [string, string][] = [
    ["disk", `${report.output}  ${format}, ${showSize(report.size)}`],
    ["image", report.manifestDigest],
    ...partitions.map(({ name, offset, size }, index): [string, string] => [
      `partition ${index + 1}`,
      `${name}  ${showSize(size)} at ${showSize(offset)}${free.get(name) ?? ""}`,
    ]),
    ["deployment", deployment.id],
    ["boots", deployment.bootType === "uki" ? "a UKI" : "a kernel and an initramfs, unsealed"],
    ["entry", entry],
    ["objects", `${objects.count}, ${showSize(objects.size)}`],
  ];
  const warnings = report.warnings.map(({ code, message }) => `warning: ${message} [${code}]`);
  const lines = rows.map(([title, value]) => `${title.padEnd(13)} ${value}`);
  return { text: [...warnings, ...lines].join("\n"), json: report };
}
