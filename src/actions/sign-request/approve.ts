/** Somebody's decision on a request, signed. */
import {
  type Approval,
  type ApprovalContent,
  approvalMessage,
  encodeApproval,
  makeApproval,
  parseApproval,
  type SigningRequest,
  showTime,
} from "../../formats/signing-request/index.ts";
import { quote, UsageError } from "../../lib/errors.ts";
import { toLogKey } from "../../model/audit-log/index.ts";
import { type KeyContext, openPolicyKey } from "../../model/signing/index.ts";
import { loadSigningRequest, storeApproval } from "../../model/signing-request/index.ts";

export interface ApproveOptions extends KeyContext {
  /** Of the approver, in the notation of `openSigner`; RSA or on the curve P-256. */
  readonly key: string;
  /** As the policy names the approver. */
  readonly approver: string;
  readonly decision: Approval["decision"];
  readonly reason?: string | undefined;
}

export interface ApproveReport {
  readonly directory: string;
  /** In the directory. */
  readonly file: string;
  readonly request: SigningRequest;
  readonly approval: Approval;
}

/**
 * Writes an approval or a rejection into the directory of a request, in the place of an earlier one of the same name.
 *
 * @throws {UsageError} `approval.approver` for a name that is none; {UnsupportedError} `approval.key-type`
 * @throws {FormatError} `approval.malformed` for a reason of several lines
 * @throws as `loadSigningRequest`, `openPolicyKey`
 */
export async function approveRequest(directory: string, options: ApproveOptions): Promise<ApproveReport> {
  const { approver, decision, now, reason } = options;
  if (!/^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/.test(approver)) {
    throw new UsageError("approval.approver", `approver ${quote(approver)}: expected letters, digits and . _ @ -`);
  }
  const request = await loadSigningRequest(directory);
  await using policyKey = await openPolicyKey(options.key, options);
  const key = toLogKey(policyKey);
  const content: ApprovalContent = {
    request: request.id,
    approver,
    decision,
    ...(reason === undefined ? {} : { reason }),
    created: showTime(now),
    publicKey: key.fingerprint,
    algorithm: key.algorithm,
  };
  const approval = makeApproval(content, await key.sign(approvalMessage(content)));
  // What cannot be read again is not written: a reason of several lines, for one.
  parseApproval(encodeApproval(approval));
  return { directory, request, approval, file: await storeApproval(directory, approval) };
}
