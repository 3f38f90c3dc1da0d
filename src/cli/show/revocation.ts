import type { Impact } from "../../actions/keys/known-sets.ts";
import type { RevocationReport } from "../../actions/keys/revoke-keys.ts";
import type { SbatLevelReport } from "../../actions/keys/sbat-level.ts";
import { showSize } from "../../lib/bytes/numbers.ts";
import type { Shown } from "../perform.ts";
import { printable } from "./printable.ts";

export function showRevocation(report: RevocationReport): Shown {
  const lines = [
    ...report.warnings.map(({ code, message }) => `warning: ${printable(message)} [${code}]`),
    ...report.added.map(({ kind, of, sha256, since }) =>
      printable(
        `${kind.padEnd(16)} ${sha256}${of === undefined ? "" : `  ${of}`}${since === undefined ? "" : `  since ${since}`}`,
      ),
    ),
    ...(report.impact.length === 0 ? [] : ["", ...report.impact.flatMap(showImpact)]),
    "",
    `dbx has ${report.total} ${report.total === 1 ? "entry" : "entries"} now, ${showSize(report.size)}`,
    ...(report.files.length === 0
      ? ["nothing was written"]
      : report.files.map((file) => `  ${report.directory}/${file}`)),
  ];
  if (report.files.length > 0) {
    lines.push(
      "next, on each machine:",
      `  $ sealwright keys enroll --efivarfs --update ${report.directory}/dbx-append.auth`,
    );
  }
  return { text: lines.join("\n"), json: report };
}

function showImpact({ kind, name, newest, stopped }: Impact): string[] {
  const verdict = stopped.length === 0 ? "boots on" : "DOES NOT START";
  return [
    printable(`${verdict.padEnd(14)} ${name} (${kind}${newest ? ", the newest" : ""})`),
    ...stopped.map(({ path, reason }) => printable(`${"".padEnd(14)} ${path}: ${reason}`)),
  ];
}

export function showSbatLevel(report: SbatLevelReport): Shown {
  const lines = [
    ...report.warnings.map(({ code, message }) => `warning: ${message} [${code}]`),
    ...report.level.trimEnd().split("\n"),
    ...report.stopped.map(({ component, generation, name, needed, path }) =>
      printable(`shim would not start ${name} ${path}: ${component},${generation}, expected ${needed} or more`),
    ),
    ...(report.output === undefined ? [] : [`written to ${report.output}`]),
  ];
  return { text: lines.join("\n"), json: report };
}
