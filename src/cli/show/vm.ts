import type { MachineEntry } from "../../model/machine/machine-store.ts";
import type { Shown } from "../perform.ts";

/** One line a machine. */
export function showMachines(machines: readonly MachineEntry[]): Shown {
  const lines = machines.map(({ name, record, running }) => {
    const ssh = running && record?.sshPort !== undefined ? `ssh ${record.sshPort}` : "";
    return `${name.padEnd(24)} ${(running ? "running" : "stopped").padEnd(8)} ${ssh.padEnd(10)} ${record?.disk ?? ""}`;
  });
  return {
    text: lines.length === 0 ? "no machines" : lines.map((line) => line.trimEnd()).join("\n"),
    json: machines.map(({ name, record, running }) => ({
      name,
      running,
      disk: record?.disk ?? null,
      sshPort: (running ? record?.sshPort : undefined) ?? null,
    })),
  };
}
