import type { DatabaseReport, PreflightReport } from "../../actions/enroll/preflight.ts";
import { showSize } from "../../lib/bytes/numbers.ts";
import type { Shown } from "../perform.ts";
import { printable } from "./printable.ts";

/** Something stands in the way. */
const EXIT_NOT_READY = 81;

export function showPreflight(report: PreflightReport): Shown {
  const { databases, firmware, freeSpace, optionRoms, own, problems, ready, started, tpm } = report;
  const rows: [string, string][] = [
    ["firmware", firmware.hasVariables ? "UEFI" : "no UEFI variables"],
    ["Secure Boot", `${onOff(firmware.secureBoot)}, setup mode ${onOff(firmware.setupMode)}`],
    ["TPM", tpm.eventLog ? "event log found" : tpm.present ? "without event log" : "none found"],
    ...(own === undefined ? [] : [["your keys", showOwn(own)] as [string, string]]),
    ...Object.entries(databases).flatMap(([name, database]) => showDatabase(name, database)),
    ...optionRoms.map(({ devicePath, sha256 }): [string, string] => ["option ROM", `${devicePath}  ${sha256 ?? ""}`]),
    ...started.map(({ afterwards, digest, path, reason }): [string, string] => [
      "started",
      `${path ?? "?"}  ${digest.slice(0, 16)}...  afterwards: ${afterwards}${reason === undefined ? "" : ` (${reason})`}`,
    ]),
    ...(freeSpace === undefined ? [] : [["room", `${showSize(freeSpace)} for variables`] as [string, string]]),
  ];
  const lines = [
    ...rows.map(([title, value]) => `${title.padEnd(12)} ${printable(value)}`),
    ...problems.flatMap(({ blocks, code, hint, message }) => [
      `${blocks ? "FAIL" : "warning"}: ${printable(message)} [${code}]`,
      ...(hint === undefined ? [] : [`      hint: ${hint}`]),
    ]),
    ready ? "nothing stands in the way" : "not ready",
  ];
  return { text: lines.join("\n"), json: report, exitCode: ready ? 0 : EXIT_NOT_READY };
}

const onOff = (value: boolean | undefined): string => (value === undefined ? "unknown" : value ? "on" : "off");

function showOwn(own: NonNullable<PreflightReport["own"]>): string {
  const names = Object.entries(own).map(([name, enrolled]) => `${name} ${enrolled ? "enrolled" : "not enrolled"}`);
  return names.join(", ");
}

function showDatabase(name: string, { certificates, hashes }: DatabaseReport): [string, string][] {
  return [
    ...certificates.map(({ expired, notAfter, subject, whose }): [string, string] => [
      name,
      `${subject}  until ${notAfter.slice(0, 10)}${expired ? " (expired)" : ""}${whose === "own" ? "  yours" : ""}`,
    ]),
    ...(hashes === 0 ? [] : [[name, `${hashes} digests`] as [string, string]]),
  ];
}
