/** Verifies an audit log, and shows what is in it. */
import type { AuditEntry, AuditPosition } from "../../formats/audit-log/index.ts";
import { quote, UsageError } from "../../lib/errors.ts";
import { verifyAuditFile } from "../../model/audit-log/index.ts";
import { requireCertificates } from "../../model/signing/index.ts";

export interface VerifyAuditOptions {
  /** File with the certificate of the log's key, PEM or DER. */
  readonly certificatePath: string | undefined;
  /** A position that somebody remembers: `SEQUENCE:SHA-256`. */
  readonly head?: string | undefined;
}

export interface AuditReport {
  readonly log: string;
  readonly entries: readonly AuditEntry[];
  /** The last entry; null for an empty log. */
  readonly head: AuditPosition | null;
  /** Of the log's key. */
  readonly signer: string;
}

/**
 * Follows a log from its first entry to its last.
 *
 * @throws {UsageError} `verify.certificate-missing`, `audit.certificate`, `audit.head`
 * @throws as `verifyAuditFile`
 */
export async function verifyAudit(log: string, options: VerifyAuditOptions): Promise<AuditReport> {
  const { certificatePath, head } = options;
  const [certificate, ...others] = await requireCertificates(certificatePath === undefined ? [] : [certificatePath]);
  if (certificate === undefined || others.length > 0) {
    throw new UsageError(
      "audit.certificate",
      `${quote(certificatePath ?? "")}: expected one certificate, that of the log`,
    );
  }
  const entries: AuditEntry[] = [];
  const end = await verifyAuditFile(log, certificate.publicKey, {
    remembered: head === undefined ? [] : [parsePosition(head)],
    onEntry: (entry) => entries.push(entry),
  });
  return { log, entries, head: end ?? null, signer: certificate.subject };
}

function parsePosition(text: string): AuditPosition {
  const { line, sequence } = /^(?<sequence>\d{1,15}):(?<line>[0-9a-f]{64})$/.exec(text)?.groups ?? {};
  if (line !== undefined && sequence !== undefined) return { sequence: Number(sequence), line };
  throw new UsageError("audit.head", `position ${quote(text)}: expected SEQUENCE:SHA-256`);
}
