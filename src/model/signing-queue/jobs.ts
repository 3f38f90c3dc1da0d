/**
 * Jobs: what a worker does with requests that are to be reviewed or signed.
 *
 * A worker leases a job for a while and extends the lease while it works. When it dies, the lease ends and another one
 * takes the job. Whoever has lost the lease can neither finish nor give back: each taking has a number, and the
 * database compares it. So a request has one review and one result, however many workers there are.
 */
import type { Transaction } from "kysely";
import { UsageError } from "../../lib/errors.ts";
import { type AuditWriter, appendAudit } from "./audit.ts";
import type { SigningQueue } from "./database.ts";
import { changeRequest, lockRequest, type RequestRow } from "./request-row.ts";
import type { Refusal } from "./requests.ts";
import type { Tables } from "./schema.ts";
import { JOB_STATES, type JobState } from "./state.ts";

/** A job that is ours until the lease ends. */
export interface Job {
  readonly id: string;
  readonly state: JobState;
  readonly owner: string;
  /** How often this job was taken, this time included. */
  readonly attempt: number;
}

/** Takes the oldest job that nobody has. */
export async function claimJob(
  queue: SigningQueue,
  owner: string,
  at: Date,
  leaseMs: number,
): Promise<Job | undefined> {
  return await queue.transaction(async (trx) => {
    const row = await trx
      .selectFrom("request")
      .selectAll()
      .where("state", "in", JOB_STATES)
      .where((is) => is.or([is("lease_until", "is", null), is("lease_until", "<=", at.toISOString())]))
      .orderBy("submitted_at")
      .orderBy("id")
      .limit(1)
      .$if(queue.dialect === "postgres", (query) => query.forUpdate().skipLocked())
      .executeTakeFirst();
    if (row === undefined) return undefined;
    await changeRequest(trx, row, {
      lease_owner: owner,
      lease_until: later(at, leaseMs),
      attempt: row.attempt + 1,
    });
    return { id: row.id, state: row.state as JobState, owner, attempt: row.attempt };
  });
}

/** @throws {UsageError} `service.lease-lost` when the job is another worker's by now, or done */
export async function renewJob(queue: SigningQueue, job: Job, at: Date, leaseMs: number): Promise<void> {
  await withJob(queue, job, (trx, row) => changeRequest(trx, row, { lease_until: later(at, leaseMs) }));
}

/** Gives a job back, to be taken again after a while. */
export async function releaseJob(
  queue: SigningQueue,
  job: Job,
  trouble: Refusal,
  at: Date,
  delayMs: number,
): Promise<void> {
  await withJob(queue, job, (trx, row) =>
    changeRequest(trx, row, { lease_owner: null, lease_until: later(at, delayMs), refusal: JSON.stringify(trouble) }),
  );
}

const FREE = { lease_owner: null, lease_until: null } as const;

/** Keeps what a review found; without a quorum there is nobody to wait for. */
export async function finishReview(
  queue: SigningQueue,
  job: Job,
  outcome: { readonly review: unknown; readonly quorum: number },
): Promise<void> {
  const { quorum, review } = outcome;
  const state = quorum === 0 ? "signing" : "waiting";
  await withJob(queue, job, (trx, row) =>
    changeRequest(trx, row, { state, review: JSON.stringify(review), quorum, refusal: null, attempt: 0, ...FREE }),
  );
}

/** Ends a request that does not hold; `review` when there is something to see nevertheless. */
export async function refuseJob(
  queue: SigningQueue,
  job: Job,
  refusal: Refusal,
  audit: AuditWriter | undefined,
  review?: unknown,
): Promise<void> {
  await finish(queue, job, audit, {
    state: "refused",
    refusal: JSON.stringify(refusal),
    ...(review === undefined ? {} : { review: JSON.stringify(review) }),
    ...FREE,
  });
}

/** Keeps the signatures and the line of the audit log that tells of them: both, or none. */
export async function finishSigning(
  queue: SigningQueue,
  job: Job,
  result: unknown,
  audit: AuditWriter | undefined,
): Promise<void> {
  await finish(queue, job, audit, { state: "signed", result: JSON.stringify(result), refusal: null, ...FREE });
}

async function finish(
  queue: SigningQueue,
  job: Job,
  audit: AuditWriter | undefined,
  change: Parameters<typeof changeRequest>[2],
): Promise<void> {
  const work = (trx: Transaction<Tables>, row: RequestRow) => changeRequest(trx, row, change);
  if (audit === undefined) await withJob(queue, job, work);
  else await appendAudit(queue, audit, async (trx) => work(trx, await lockJob(queue, trx, job)));
}

async function withJob(
  queue: SigningQueue,
  job: Job,
  work: (trx: Transaction<Tables>, row: RequestRow) => Promise<void>,
): Promise<void> {
  await queue.transaction(async (trx) => work(trx, await lockJob(queue, trx, job)));
}

async function lockJob(queue: SigningQueue, trx: Transaction<Tables>, job: Job): Promise<RequestRow> {
  const row = await lockRequest(queue, trx, job.id);
  if (row.state === job.state && row.lease_owner === job.owner && row.attempt === job.attempt) return row;
  throw new UsageError("service.lease-lost", `request ${job.id}: the job has been taken over, or is done`, {
    data: { id: job.id, state: row.state },
  });
}

const later = (at: Date, ms: number): string => new Date(at.getTime() + ms).toISOString();
