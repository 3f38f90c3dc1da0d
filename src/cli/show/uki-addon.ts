import type { BuildAddonReport } from "../../actions/uki/build-addon.ts";
import type { AddonList, AddonReport } from "../../actions/uki/list-addons.ts";
import { showSize } from "../../lib/bytes/numbers.ts";
import type { AddonProblem } from "../../model/os/index.ts";
import type { Shown } from "../perform.ts";
import { printable } from "./printable.ts";

export function showBuiltAddon(report: BuildAddonReport, signer: string | undefined): Shown {
  const signed = signer === undefined ? "unsigned: with Secure Boot no host takes it" : `signed by ${signer}`;
  const lines = [`${report.output}: ${showSize(report.size)}, ${signed}`, ...report.problems.map(showProblem)];
  return { text: lines.join("\n"), json: { ...report, ...(signer === undefined ? {} : { signer }) } };
}

export function showAddons(list: AddonList): Shown {
  if (list.addons.length === 0) return { text: `${list.source}: no addons`, json: list };
  return { text: list.addons.map(describe).join("\n\n"), json: list };
}

export function showAddon(addon: AddonReport): Shown {
  return { text: describe(addon), json: addon };
}

function describe(addon: AddonReport): string {
  const signers = addon.signatures.map(({ subject, unreadable }) => subject ?? unreadable ?? "unknown signer");
  const rows: [string, string | undefined][] = [
    ["for", addon.scope === "global" ? "every UKI" : addon.scope],
    ["kernel", addon.kernel],
    ["signed by", signers.join("; ") || "nobody"],
    ["brings", addon.sections.map(({ name, size }) => `${name} ${showSize(size)}`).join(", ")],
    ["command line", addon.commandLine],
    ["SBAT", addon.sbat.slice(1).join(" ") || undefined],
  ];
  const lines = rows.flatMap(([title, value]) =>
    value === undefined ? [] : [`  ${title.padEnd(13)} ${printable(value)}`],
  );
  return [addon.path, ...lines, ...addon.problems.map((problem) => `  ${showProblem(problem)}`)].join("\n");
}

function showProblem({ breaksSeal, code, message }: AddonProblem): string {
  return `${breaksSeal ? "BREAKS THE SEAL" : "warning"}: ${printable(message)} [${code}]`;
}
