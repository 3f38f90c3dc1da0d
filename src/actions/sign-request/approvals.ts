/** Who has agreed to a request, and who has not. */
import { type Approval, hashDocument, verifyApproval } from "../../formats/signing-request/index.ts";
import { quote, SealwrightError } from "../../lib/errors.ts";
import type { FoundApproval } from "../../model/signing-request/index.ts";
import type { LoadedPolicy } from "./load-policy.ts";

/** A decision that was verified. */
export interface Decision {
  readonly approver: string;
  readonly created: string;
  readonly reason?: string;
  /** SHA-256 of the approver's SubjectPublicKeyInfo. */
  readonly publicKey: string;
  /** SHA-256 of the approval. */
  readonly approval: string;
}

export interface ApprovalProblem {
  readonly file: string;
  readonly code: string;
  readonly message: string;
}

export interface JudgedApprovals {
  readonly needed: number;
  readonly approved: readonly Decision[];
  readonly rejected: readonly Decision[];
  /** Approvals that do not count. */
  readonly problems: readonly ApprovalProblem[];
}

/** Each approver of the policy has one voice. An approval that is not sound counts for nothing and stops nothing. */
export function judgeApprovals(
  found: readonly FoundApproval[],
  request: string,
  { approvers, quorum }: Pick<LoadedPolicy, "approvers" | "quorum">,
): JudgedApprovals {
  const approved = new Map<string, Decision>();
  const rejected = new Map<string, Decision>();
  const problems: ApprovalProblem[] = [];
  for (const each of found) {
    const { file } = each;
    if ("problem" in each) {
      problems.push({ file, code: each.problem.code, message: each.problem.message });
      continue;
    }
    const { approval } = each;
    const key = approvers.get(approval.approver);
    if (key === undefined) {
      const message = `approval of ${quote(approval.approver)}: the policy has no approver of that name`;
      problems.push({ file, code: "approval.unknown-approver", message });
      continue;
    }
    try {
      verifyApproval(approval, request, key);
      (approval.decision === "approve" ? approved : rejected).set(approval.approver, toDecision(approval));
    } catch (error) {
      if (!(error instanceof SealwrightError)) throw error;
      problems.push({ file, code: error.code, message: error.message });
    }
  }
  return { needed: quorum, approved: [...approved.values()], rejected: [...rejected.values()], problems };
}

function toDecision(approval: Approval): Decision {
  const { approver, created, publicKey, reason } = approval;
  return {
    approver,
    created,
    publicKey,
    approval: hashDocument(approval),
    ...(reason === undefined ? {} : { reason }),
  };
}
