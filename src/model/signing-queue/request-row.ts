/** Rows of requests, and the ways they change. */
import { createHash } from "node:crypto";
import type { Selectable, Transaction } from "kysely";
import { NotFoundError, quote, UsageError } from "../../lib/errors.ts";
import type { SigningQueue } from "./database.ts";
import type { RequestTable, Tables } from "./schema.ts";
import { EXPIRING_STATES, type RequestState } from "./state.ts";

export type RequestRow = Selectable<RequestTable>;

/**
 * Reads a request for changing it: nobody else does until the transaction ends.
 *
 * @throws {NotFoundError} `service.request-unknown`
 */
export async function lockRequest(queue: SigningQueue, trx: Transaction<Tables>, id: string): Promise<RequestRow> {
  const row = await trx
    .selectFrom("request")
    .selectAll()
    .where("id", "=", id)
    .$if(queue.dialect === "postgres", (query) => query.forUpdate())
    .executeTakeFirst();
  if (row === undefined) throw unknownRequest(id);
  return row;
}

/** Writes to a row that is locked, and to the copy of it. */
export async function changeRequest(
  trx: Transaction<Tables>,
  row: RequestRow,
  change: Partial<Omit<RequestRow, "id" | "revision">>,
): Promise<void> {
  const set = { ...change, revision: row.revision + 1 };
  await trx.updateTable("request").set(set).where("id", "=", row.id).execute();
  Object.assign(row, set);
}

/** Time ends a request also when nobody has swept yet. */
export async function expireIfDue(trx: Transaction<Tables>, row: RequestRow, at: Date): Promise<void> {
  const expiring: readonly string[] = EXPIRING_STATES;
  if (!expiring.includes(row.state) || row.expires_at > at.toISOString()) return;
  await changeRequest(trx, row, { state: "expired", lease_owner: null });
}

/** From `receiving` to `reviewing` when every file is here. */
export async function advanceWhenComplete(trx: Transaction<Tables>, row: RequestRow): Promise<void> {
  if (row.state !== "receiving") return;
  const missing = await trx
    .selectFrom("request_file")
    .select("name")
    .where("request_id", "=", row.id)
    .where("upload", "is", null)
    .executeTakeFirst();
  if (missing === undefined) await changeRequest(trx, row, { state: "reviewing" });
}

export function unknownRequest(id: string): NotFoundError {
  return new NotFoundError("service.request-unknown", `request ${quote(id)}: the queue has none of that name`);
}

/** @throws {UsageError} `service.request-state` */
export function requireState(row: RequestRow, state: RequestState, toDo: string): void {
  if (row.state === state) return;
  throw new UsageError("service.request-state", `request ${row.id}: ${toDo} while it is ${row.state}, not ${state}`, {
    data: { id: row.id, state: row.state, expected: state },
  });
}

export const sha256Hex = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
