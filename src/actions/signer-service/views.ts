/** Requests as the API shows them. */
import { parseSigningRequest } from "../../formats/signing-request/index.ts";
import type { SealwrightError } from "../../lib/errors.ts";
import type { FullRequest, QueuedRequest, Refusal } from "../../model/signing-queue/index.ts";
import type { RequestDetails, RequestView, ReviewView } from "../../model/signing-service/index.ts";

export function toRequestView(request: QueuedRequest): RequestView {
  const { builder, decisions, expiresAt, id, image, quorum, refusal, revision, state, submittedAt } = request;
  return {
    id,
    state,
    image,
    builder,
    submittedAt: submittedAt.toISOString(),
    expiresAt: expiresAt.toISOString(),
    quorum: quorum ?? null,
    decisions: decisions.map(({ approver, decidedAt, reason, verdict }) => ({
      approver,
      verdict,
      ...(reason === undefined ? {} : { reason }),
      decidedAt: decidedAt.toISOString(),
    })),
    refusal: refusal ?? null,
    revision,
  };
}

export function toRequestDetails(request: FullRequest): RequestDetails {
  return {
    ...toRequestView(request),
    request: parseSigningRequest(request.document),
    missing: request.missing,
    review: (request.review as ReviewView | undefined) ?? null,
  };
}

/** A refusal as it is kept and shown. */
export function toRefusal({ code, hint, message }: SealwrightError): Refusal {
  return { code, message, ...(hint === undefined ? {} : { hint }) };
}
