/** What clients of the service may do with requests. */
import {
  encodeApproval,
  parseApproval,
  parseSigningRequest,
  verifyApproval,
} from "../../formats/signing-request/index.ts";
import { PolicyError, quote, UsageError } from "../../lib/errors.ts";
import {
  type Client,
  decideRequest,
  loadRequest,
  type Role,
  type SigningQueue,
  submitRequest,
} from "../../model/signing-queue/index.ts";
import type { RequestDetails, SignatureView } from "../../model/signing-service/index.ts";
import type { SigningDesk } from "./desk.ts";
import { toRequestDetails } from "./views.ts";

/** @throws {PolicyError} `service.forbidden` */
export function requireRole(client: Client, role: Role, toDo: string): void {
  if (client.role === role) return;
  throw new PolicyError("service.forbidden", `${quote(client.name)} is ${article(client.role)} and may not ${toDo}`, {
    data: { role: client.role, expected: role },
  });
}

const article = (role: Role): string => (role === "builder" ? `a ${role}` : `an ${role}`);

export interface AcceptOptions {
  readonly queue: SigningQueue;
  readonly desk: SigningDesk;
  readonly client: Client;
  readonly now: Date;
  /** How long a request waits. */
  readonly lifetimeMs: number;
}

/**
 * Takes a request into the queue. The same one again is the same entry.
 *
 * @throws {PolicyError} `service.forbidden`
 * @throws as `parseSigningRequest`
 */
export async function acceptRequest(
  document: Uint8Array,
  options: AcceptOptions,
): Promise<{ readonly created: boolean; readonly details: RequestDetails }> {
  const { client, desk, lifetimeMs, now, queue } = options;
  requireRole(client, "builder", "submit requests");
  const request = parseSigningRequest(document);
  const expiresAt = new Date(now.getTime() + lifetimeMs);
  const { created } = await submitRequest(
    queue,
    {
      id: request.id,
      document,
      image: request.image.source,
      builder: client.name,
      files: desk.neededFiles(request),
      expiresAt,
    },
    now,
  );
  return { created, details: toRequestDetails(await loadRequest(queue, request.id)) };
}

export interface DecideOptions {
  readonly queue: SigningQueue;
  readonly desk: SigningDesk;
  readonly client: Client;
  readonly now: Date;
}

/**
 * Takes a signed decision. It counts by its signature, whoever brings it: an approver may sign on a machine that never
 * talks to the service.
 *
 * @param bytes of an approval
 * @throws {PolicyError} `service.forbidden`, `service.approver-unknown`, `service.request-expired`
 * @throws {VerificationError} `approval.…` for a forged one or one about another request
 * @throws {UsageError} `service.already-decided`, `service.request-state`
 */
export async function takeDecision(id: string, bytes: Uint8Array, options: DecideOptions): Promise<RequestDetails> {
  const { client, desk, now, queue } = options;
  requireRole(client, "approver", "decide");
  const approval = parseApproval(bytes);
  await loadRequest(queue, id);
  const approver = (await desk.approvers()).find(({ name }) => name === approval.approver);
  if (approver === undefined) {
    throw new PolicyError("service.approver-unknown", `approver ${quote(approval.approver)}: the policy knows none`, {
      hint: "the operator adds the public key of an approver to the policy",
    });
  }
  verifyApproval(approval, id, approver.key);
  const verdict = approval.decision === "approve" ? "approved" : "rejected";
  const decision = {
    approver: approver.name,
    verdict,
    reason: approval.reason,
    document: encodeApproval(approval),
  } as const;
  await decideRequest(queue, id, decision, now);
  return toRequestDetails(await loadRequest(queue, id));
}

/** @throws {UsageError} `service.not-signed` */
export async function readSignatures(queue: SigningQueue, id: string): Promise<readonly SignatureView[]> {
  const { refusal, result, state } = await loadRequest(queue, id);
  if (state === "signed") return result as readonly SignatureView[];
  throw new UsageError("service.not-signed", `request ${id}: it is ${state}${refusal ? `: ${refusal.message}` : ""}`, {
    data: { id, state },
  });
}
