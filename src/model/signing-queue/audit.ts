import type { Transaction } from "kysely";
import { InputOutputError } from "../../lib/errors.ts";
import type { SigningQueue } from "./database.ts";
import type { Tables } from "./schema.ts";

/** Makes the line that follows the last one: hash-chained and signed, which takes a signer and its time. */
export type AuditWriter = (last: string | undefined, sequence: number) => Promise<string>;

/** Two servers that finish at once are rare, ten are a fault. */
const MAX_TRIES = 100;

/**
 * Adds a line to the audit log together with other changes, all or nothing. The line is made outside of the
 * transaction, since a signer may be slow; when another one was added meanwhile it is made anew.
 *
 * @param work runs in the transaction, perhaps more than once
 */
export async function appendAudit(
  queue: SigningQueue,
  write: AuditWriter,
  work: (trx: Transaction<Tables>) => Promise<void>,
): Promise<void> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const last = await lastAuditLine(queue);
    const sequence = (last?.sequence ?? -1) + 1;
    const line = await write(last?.line, sequence);
    const added = await queue.transaction(async (trx) => {
      const inserted = await trx
        .insertInto("audit")
        .values({ sequence, line })
        .onConflict((conflict) => conflict.column("sequence").doNothing())
        .returning("sequence")
        .execute();
      if (inserted.length === 0) return false;
      await work(trx);
      return true;
    });
    if (added) return;
  }
  throw new InputOutputError("queue.audit-contended", `the audit log grew ${MAX_TRIES} times while a line was made`);
}

/** The end of the audit log. */
export const lastAuditLine = (queue: SigningQueue) =>
  queue.db.selectFrom("audit").selectAll().orderBy("sequence", "desc").limit(1).executeTakeFirst();

const PAGE = 500;

/** The lines of the audit log, in order. @param first sequence number of the first one */
export async function* streamAudit(queue: SigningQueue, first = 0): AsyncGenerator<string, void, void> {
  for (let from = first; ; ) {
    const rows = await queue.db
      .selectFrom("audit")
      .selectAll()
      .where("sequence", ">=", from)
      .orderBy("sequence")
      .limit(PAGE)
      .execute();
    for (const { line } of rows) yield line;
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE) return;
    from = last.sequence + 1;
  }
}
