import type { ImageReport } from "../../actions/inspect/inspect-image.ts";
import { showSize } from "../../lib/bytes/numbers.ts";
import type { Shown } from "../perform.ts";
import { printable } from "./printable.ts";

export function showImage(report: ImageReport): Shown {
  const { addons, bootLoader, kargs, kernel, layers = [], os, problems, seal } = report;
  const rows: [string, string | undefined][] = [
    ["image", report.source],
    ["manifest", report.manifestDigest],
    ["platform", report.platform],
    ["created", report.created],
    ["OS", os === null ? "<none>" : os.name],
    ["kernel", kernel === null ? "<none>" : kernel.version],
    ["type", kernel === null ? undefined : kernel.unified ? "UKI" : "vmlinuz"],
    ["kargs", kargs.length === 0 ? "<none>" : kargs.join(" ")],
    ["boot loader", bootLoader === null ? "<none>" : `${bootLoader.path}  ${showSigners(bootLoader.signers)}`],
    ["sealed", seal === null ? "no" : `${seal.uki}  ${showSigners(seal.signers)}`],
    ["command line", seal?.commandLine],
    ...addons.map(({ commandLine, path, signers }): [string, string] => [
      "addon",
      [path, showSigners(signers), printable(commandLine)].filter(Boolean).join("  "),
    ]),
    ["layers", layers.length === 0 ? undefined : String(layers.length)],
  ];
  const lines = rows.flatMap(([title, value]) => (value === undefined ? [] : [`${title.padEnd(13)} ${value}`]));
  for (const layer of layers) {
    const by = layer.createdBy === undefined ? "" : `  ${layer.createdBy.slice(0, 60)}`;
    lines.push(`  ${layer.digest}  ${showSize(layer.size).padStart(10)}  ${layer.compression.padEnd(4)}${by}`);
  }
  const all = [...problems, ...addons.flatMap((addon) => addon.problems)];
  lines.push(...all.map(({ code, message }) => `note: ${message} [${code}]`));
  return { text: lines.join("\n"), json: report };
}

function showSigners(signers: readonly string[]): string {
  return signers.length === 0 ? "(unsigned)" : `(signed: ${signers.join("; ")})`;
}
