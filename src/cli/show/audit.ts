import type { AuditReport } from "../../actions/audit/verify-audit.ts";
import type { AuditEntry } from "../../formats/audit-log/index.ts";
import type { Shown } from "../perform.ts";
import { showRows } from "./signing-request.ts";

/** That a log is whole, in a line, and the position to remember. */
export function showAuditVerdict({ entries, head, log, signer }: AuditReport): Shown {
  const rows: [string, string][] = [
    ["audit log", `${log}  whole, signed by ${signer}`],
    ["entries", `${entries.length}`],
    ...(head === null ? [] : [["head", `${head.sequence}:${head.line}`] as [string, string]]),
  ];
  return { text: showRows(rows).join("\n"), json: { log, holds: true, entries: entries.length, head, signer } };
}

/** Every entry, the newest last. */
export function showAuditEntries({ entries, head, log, signer }: AuditReport, limit: number): Shown {
  const shown = limit === 0 ? entries : entries.slice(-limit);
  const left = entries.length - shown.length;
  const lines = shown.flatMap((entry) => [...showEntry(entry), ""]);
  const more = left > 0 ? [`${left} earlier entries (--limit 0 shows all)`, ""] : [];
  return { text: [...more, ...lines].join("\n").trimEnd(), json: { log, signer, head, entries: shown } };
}

function showEntry(entry: AuditEntry): string[] {
  const { approvals, event, image, items, kernel, name, os, refusal, request, sequence, time } = entry;
  const version = os.imageVersion ?? os.version;
  return [
    `${sequence}  ${time}  ${event}  ${name}${version === undefined ? "" : `  ${version}`}`,
    ...showRows([
      ["  image", `${image.readFrom ?? image.source}  ${image.manifestDigest}  ${image.platform}`],
      ["  request", request],
      ["  system", `${os.id} ${os.version ?? ""}, kernel ${kernel}`.replace(" ,", ",")],
      ...(entry.commandLine === undefined ? [] : [["  arguments", entry.commandLine] as [string, string]]),
      ...(refusal === undefined ? [] : [["  refused", `${refusal.message} [${refusal.code}]`] as [string, string]]),
      ...items.map((item): [string, string] => [
        `  ${event === "signed" ? "signed" : "asked for"}`,
        `${item.role} ${item.name}  ${item.digest}`,
      ]),
      ...(approvals.length === 0
        ? []
        : [["  approved by", approvals.map(({ approver }) => approver).join(", ")] as [string, string]]),
    ]),
  ];
}
