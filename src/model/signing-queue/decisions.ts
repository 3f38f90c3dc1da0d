import { PolicyError, type SealwrightError, UsageError } from "../../lib/errors.ts";
import type { SigningQueue } from "./database.ts";
import { changeRequest, expireIfDue, lockRequest, type RequestRow } from "./request-row.ts";
import type { RequestState } from "./state.ts";

export interface NewDecision {
  /** As the policy names whoever decides. */
  readonly approver: string;
  readonly verdict: "approved" | "rejected";
  readonly reason?: string | undefined;
  /** The signed decision, which has been verified. */
  readonly document: Uint8Array;
}

/**
 * Records a decision, and what follows from it: the request is signed next when enough have approved, and ends when one
 * rejects. The same decision a second time is refused, also when both come at once.
 *
 * @returns the state after it
 * @throws {UsageError} `service.already-decided`, `service.request-state`
 * @throws {PolicyError} `service.request-expired`
 * @throws {NotFoundError} `service.request-unknown`
 */
export async function decideRequest(
  queue: SigningQueue,
  id: string,
  decision: NewDecision,
  at: Date,
): Promise<RequestState> {
  const outcome = await queue.transaction(async (trx): Promise<RequestState | SealwrightError> => {
    const row = await lockRequest(queue, trx, id);
    await expireIfDue(trx, row, at);
    const earlier = await trx
      .selectFrom("decision")
      .select("verdict")
      .where("request_id", "=", id)
      .where("approver", "=", decision.approver)
      .executeTakeFirst();
    // Returned, not thrown: that it has expired is to be kept.
    if (earlier !== undefined) return alreadyDecided(id, decision.approver, earlier.verdict);
    if (row.state !== "waiting") return notWaiting(row);
    await trx
      .insertInto("decision")
      .values({
        request_id: id,
        approver: decision.approver,
        verdict: decision.verdict,
        document: decision.document,
        reason: decision.reason ?? null,
        decided_at: at.toISOString(),
      })
      .execute();
    if (decision.verdict === "rejected") {
      const why = decision.reason === undefined ? "" : `: ${decision.reason}`;
      const refusal = { code: "service.rejected", message: `${decision.approver} rejected it${why}` };
      await changeRequest(trx, row, { state: "rejected", refusal: JSON.stringify(refusal) });
    } else {
      const approvals = await trx
        .selectFrom("decision")
        .select("approver")
        .where("request_id", "=", id)
        .where("verdict", "=", "approved")
        .execute();
      const enough = approvals.length >= (row.quorum ?? Number.POSITIVE_INFINITY);
      await changeRequest(trx, row, enough ? { state: "signing", attempt: 0, lease_until: null } : {});
    }
    return row.state;
  });
  if (typeof outcome === "string") return outcome;
  throw outcome;
}

function alreadyDecided(id: string, approver: string, verdict: string): UsageError {
  const data = { id, approver, verdict };
  return new UsageError("service.already-decided", `request ${id}: ${approver} has ${verdict} it already`, { data });
}

function notWaiting({ expires_at, id, state }: RequestRow): SealwrightError {
  const data = { id, state };
  if (state === "expired") {
    return new PolicyError("service.request-expired", `request ${id}: it expired on ${expires_at}`, {
      data,
      hint: "the builder can submit it again",
    });
  }
  return new UsageError("service.request-state", `request ${id}: it is ${state} and waits for nobody's decision`, {
    data,
  });
}
