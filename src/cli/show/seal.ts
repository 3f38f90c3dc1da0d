import type { SealReport } from "../../actions/seal/report.ts";
import { showSize } from "../../lib/bytes/numbers.ts";
import type { Shown } from "../perform.ts";

/** The sealed image, and how its links hold together. */
export function showSeal(report: SealReport): Shown {
  const { bootLoader, kernel, layer, reusedLayers, signer, uki } = report;
  const rows: [string, string][] = [
    ["sealed image", `${report.destination}  ${report.manifestDigest}`],
    ["kernel", `${kernel.version}${kernel.kept ? ", also kept in /usr/lib/modules" : ", moved into the UKI"}`],
    ["boot loader", `${bootLoader.path}  ${bootLoader.signedBefore ? "was signed by this key before" : "signed"}`],
    ["UKI", `${uki.path}  ${showSize(uki.size)}, signed`],
    ["command line", uki.commandLine],
    ...(report.addons ?? []).map(({ commandLine, path }): [string, string] => [
      "addon",
      `${path}${commandLine === "" ? "" : `  ${commandLine}`}`,
    ]),
    ...Object.entries(report.digests).map(([name, hex]): [string, string] => ["digest", `${name} ${hex}`]),
    ...showNormalization(report),
    ["signer", `${signer.subject}${signer.ephemeral ? " (ephemeral)" : ""}  sha256 ${signer.fingerprint}`],
    ...(report.signersBeside ?? []).map(({ fingerprint, subject }): [string, string] => [
      "signer",
      `${subject}  sha256 ${fingerprint}`,
    ]),
    ["layers", `${reusedLayers.count} reused (${showSize(reusedLayers.size)}), 1 added (${showSize(layer.size)})`],
  ];
  const warnings = report.warnings.map(({ code, message }) => `warning: ${message} [${code}]`);
  const lines = rows.map(([title, value]) => `${title.padEnd(13)} ${value}`);
  return { text: [...warnings, ...lines].join("\n"), json: report };
}

function showNormalization({ normalization }: SealReport): [string, string][] {
  if (normalization === undefined) return [];
  const { changes, left, mendedLayers } = normalization;
  const show = ({ count, size, text }: (typeof changes)[number]) =>
    `${count} ${text}${size === undefined ? "" : ` (${showSize(size)})`}`;
  const lines: [string, string][] = [
    ...mendedLayers.map(({ directories, index, size }): [string, string] => [
      "normalised",
      `layer ${index} written anew (${showSize(size)}): ${directories.length} undeclared directories`,
    ]),
    ...changes.map((change): [string, string] => ["normalised", show(change)]),
    ...left.map((change): [string, string] => ["NOT", `${show(change)} [${change.code}]`]),
  ];
  return lines.length === 0 ? [["normalised", "nothing: every tool sees the same tree already"]] : lines;
}
