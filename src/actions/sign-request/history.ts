/** What was signed before, from the audit log. */
import type { AuditEntry } from "../../formats/audit-log/index.ts";
import type { PublicKey } from "../../formats/x509/index.ts";
import { headPath, verifyAuditFile } from "../../model/audit-log/index.ts";
import { exists } from "../../model/host-io/files.ts";

export interface SigningHistory {
  /** The last sealed image of a name and platform; rounds for a boot loader alone do not count. */
  lastSigned(name: string, platform: string): AuditEntry | undefined;
}

/**
 * Reads and verifies a log; one that is not there yet is an empty one.
 *
 * @throws as `verifyAuditFile`
 */
export async function loadHistory(log: string, key: PublicKey): Promise<SigningHistory> {
  const entries: AuditEntry[] = [];
  const fresh = !(await exists(log)) && !(await exists(headPath(log)));
  if (!fresh) await verifyAuditFile(log, key, { onEntry: (entry) => entries.push(entry) });
  return historyOf(entries);
}

/** @param entries in their order, verified */
export function historyOf(entries: Iterable<AuditEntry>): SigningHistory {
  const last = new Map<string, AuditEntry>();
  for (const entry of entries) {
    if (entry.event === "signed" && entry.round === "image") last.set(keyOf(entry.name, entry.image.platform), entry);
  }
  return { lastSigned: (name, platform) => last.get(keyOf(name, platform)) };
}

const keyOf = (name: string, platform: string): string => JSON.stringify([name, platform]);
