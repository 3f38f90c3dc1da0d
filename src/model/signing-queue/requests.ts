import type { Selectable, Transaction } from "kysely";
import type { SigningQueue } from "./database.ts";
import {
  advanceWhenComplete,
  changeRequest,
  expireIfDue,
  lockRequest,
  type RequestRow,
  unknownRequest,
} from "./request-row.ts";
import type { Tables } from "./schema.ts";
import { EXPIRING_STATES, FINAL_STATES, type RequestState } from "./state.ts";

/** A file that belongs to a request. */
export interface RequestFile {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Lower-case hex. */
  readonly sha256: string;
}

export interface NewRequest {
  /** What the identifier is a hash of. */
  readonly id: string;
  readonly document: Uint8Array;
  readonly image: string;
  readonly builder: string;
  readonly files: readonly RequestFile[];
  readonly expiresAt: Date;
}

/** A decision of one approver, who has no second. */
export interface Decision {
  readonly approver: string;
  readonly verdict: "approved" | "rejected";
  readonly reason: string | undefined;
  readonly decidedAt: Date;
  /** As it was signed. */
  readonly document: Uint8Array;
}

/** Why a request was refused, or why a job could not be done yet. */
export interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
}

export interface QueuedRequest {
  readonly id: string;
  readonly state: RequestState;
  readonly image: string;
  readonly builder: string;
  readonly submittedAt: Date;
  readonly expiresAt: Date;
  /** Approvals needed; known once the review is done. */
  readonly quorum: number | undefined;
  readonly decisions: readonly Decision[];
  /** Of `refused` and `rejected`; in other states what last kept a job from being done. */
  readonly refusal: Refusal | undefined;
  /** Counts changes. */
  readonly revision: number;
}

/** Everything of one request. */
export interface FullRequest extends QueuedRequest {
  readonly document: Uint8Array;
  readonly files: readonly RequestFile[];
  /** Names of files that are still to come. */
  readonly missing: readonly string[];
  /** What the review found; JSON. */
  readonly review: unknown;
  /** The signatures; JSON. */
  readonly result: unknown;
}

/**
 * Puts a request into the queue. The same identifier is the same entry: nothing happens then, unless it was refused or
 * has expired, which starts it anew.
 */
export async function submitRequest(
  queue: SigningQueue,
  request: NewRequest,
  at: Date,
): Promise<{ readonly created: boolean }> {
  return await queue.transaction(async (trx) => {
    const state = request.files.length === 0 ? "reviewing" : "receiving";
    const { builder, document, expiresAt, id, image } = request;
    const fresh = {
      builder,
      submitted_at: at.toISOString(),
      expires_at: expiresAt.toISOString(),
      attempt: 0,
    };
    const inserted = await trx
      .insertInto("request")
      .values({ id, image, document, state, revision: 0, ...fresh })
      .onConflict((conflict) => conflict.column("id").doNothing())
      .returning("id")
      .execute();
    if (inserted.length > 0) {
      if (request.files.length > 0) {
        await trx
          .insertInto("request_file")
          .values(request.files.map((file) => ({ request_id: id, ...file, upload: null })))
          .execute();
      }
      return { created: true };
    }
    const row = await lockRequest(queue, trx, id);
    await expireIfDue(trx, row, at);
    if (row.state !== "refused" && row.state !== "expired") return { created: false };
    await trx.deleteFrom("decision").where("request_id", "=", id).execute();
    await changeRequest(trx, row, {
      state: "receiving",
      ...fresh,
      quorum: null,
      review: null,
      refusal: null,
      lease_owner: null,
      lease_until: null,
    });
    await advanceWhenComplete(trx, row);
    return { created: true };
  });
}

/** @throws {NotFoundError} `service.request-unknown` */
export async function loadRequest(queue: SigningQueue, id: string): Promise<FullRequest> {
  const row = await queue.db.selectFrom("request").selectAll().where("id", "=", id).executeTakeFirst();
  if (row === undefined) throw unknownRequest(id);
  const decisions = await queue.db.selectFrom("decision").selectAll().where("request_id", "=", id).execute();
  const files = await queue.db
    .selectFrom("request_file")
    .selectAll()
    .where("request_id", "=", id)
    .orderBy("name")
    .execute();
  return {
    ...toQueued(row, decisions),
    document: row.document,
    files: files.map(({ name, sha256, size }) => ({ name, sha256, size })),
    missing: files.filter(({ upload }) => upload === null).map(({ name }) => name),
    review: row.review === null ? undefined : JSON.parse(row.review),
    result: row.result === null ? undefined : JSON.parse(row.result),
  };
}

export interface ListOptions {
  readonly states?: readonly RequestState[] | undefined;
  readonly limit: number;
}

/** The newest first, without their documents. */
export async function listRequests(
  queue: SigningQueue,
  { limit, states }: ListOptions,
): Promise<readonly QueuedRequest[]> {
  const rows = await queue.db
    .selectFrom("request")
    .select(["id", "state", "image", "builder", "submitted_at", "expires_at", "quorum", "refusal", "revision"])
    .$if(states !== undefined, (query) => query.where("state", "in", states ?? []))
    .orderBy("submitted_at", "desc")
    .orderBy("id")
    .limit(limit)
    .execute();
  if (rows.length === 0) return [];
  const decisions = await queue.db
    .selectFrom("decision")
    .selectAll()
    .where(
      "request_id",
      "in",
      rows.map(({ id }) => id),
    )
    .execute();
  return rows.map((row) =>
    toQueued(
      row,
      decisions.filter(({ request_id }) => request_id === row.id),
    ),
  );
}

/** Ends what is due, and forgets files that nobody will ask for again. Returns how many requests have expired. */
export async function expireRequests(queue: SigningQueue, at: Date): Promise<number> {
  return await queue.transaction(async (trx) => {
    const due = await trx
      .updateTable("request")
      .set((row) => ({ state: "expired" as const, lease_owner: null, revision: row("revision", "+", 1) }))
      .where("state", "in", EXPIRING_STATES)
      .where("expires_at", "<=", at.toISOString())
      .returning("id")
      .execute();
    const over = trx.selectFrom("request").select("id").where("state", "in", FINAL_STATES);
    const dropped = await trx
      .updateTable("request_file")
      .set({ upload: null })
      .where("upload", "is not", null)
      .where("request_id", "in", over)
      .returning("name")
      .execute();
    if (due.length > 0 || dropped.length > 0) await sweepChunks(trx, at);
    return due.length;
  });
}

/** Chunks of uploads that ended half-way, or whose file is not needed any more. */
async function sweepChunks(trx: Transaction<Tables>, at: Date): Promise<void> {
  const abandoned = new Date(at.getTime() - ABANDONED_MS).toISOString();
  await trx
    .deleteFrom("file_chunk")
    .where("stored_at", "<=", abandoned)
    .where(
      "upload",
      "not in",
      trx.selectFrom("request_file").select("upload").where("upload", "is not", null).$castTo<{ upload: string }>(),
    )
    .execute();
}

/** An upload takes less. */
const ABANDONED_MS = 60 * 60 * 1000;

type ListedRow = Pick<
  RequestRow,
  "id" | "state" | "image" | "builder" | "submitted_at" | "expires_at" | "quorum" | "refusal" | "revision"
>;

function toQueued(row: ListedRow, decisions: readonly Selectable<Tables["decision"]>[]): QueuedRequest {
  return {
    id: row.id,
    state: row.state,
    image: row.image,
    builder: row.builder,
    submittedAt: new Date(row.submitted_at),
    expiresAt: new Date(row.expires_at),
    quorum: row.quorum ?? undefined,
    decisions: decisions
      .map(({ approver, decided_at, document, reason, verdict }) => ({
        approver,
        verdict,
        reason: reason ?? undefined,
        decidedAt: new Date(decided_at),
        document,
      }))
      .sort((a, b) => a.decidedAt.getTime() - b.decidedAt.getTime()),
    refusal: row.refusal === null ? undefined : (JSON.parse(row.refusal) as Refusal),
    revision: row.revision,
  };
}
