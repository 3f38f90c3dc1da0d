import type { Approval, RequestFile, SigningRequest } from "../../formats/signing-request/index.ts";
import type { PublicKey } from "../../formats/x509/index.ts";
import type { SealwrightError } from "../../lib/errors.ts";
import type { Progress } from "../../lib/progress.ts";
import type { AuditWriter } from "../../model/signing-queue/index.ts";
import type { ReviewView, SignatureView } from "../../model/signing-service/index.ts";

/** Somebody of the policy whose decisions count. */
export interface Approver {
  readonly name: string;
  readonly key: PublicKey;
}

/** A request at work: its directory is ours alone, and goes away afterwards. */
export interface DeskWork {
  readonly request: SigningRequest;
  /** As `formats/signing-request` draws it, with the files that are needed. */
  readonly directory: string;
  readonly signal: AbortSignal;
  readonly progress: Progress;
}

export interface Reviewed {
  readonly review: ReviewView;
  /** Approvals that the policy asks for. */
  readonly quorum: number;
  /** Why it is not to be signed, whoever approves, and what the audit log says of that. */
  readonly refusal: { readonly error: SealwrightError; readonly audit: AuditWriter } | undefined;
}

export interface Signed {
  readonly signatures: readonly SignatureView[];
  /** What the audit log says of it. */
  readonly audit: AuditWriter;
}

/**
 * Where requests are looked at and signed: the policy, the signer, the images signed before. The queue knows who has
 * decided what; the desk knows what that is worth.
 */
export interface SigningDesk extends AsyncDisposable {
  /** Read anew each time, since operators edit the policy. */
  approvers(): Promise<readonly Approver[]>;
  /** Files of a request that cannot be made from the image. */
  neededFiles(request: SigningRequest): readonly RequestFile[];
  /** Makes the request again from the image itself, and judges it. */
  review(work: DeskWork): Promise<Reviewed>;
  /**
   * Signs what was reviewed: the image is still that one, and approvals and policy still hold.
   *
   * @throws {SealwrightError} when anything of that does not
   */
  sign(work: DeskWork, approvals: readonly Approval[]): Promise<Signed>;
  /** Signs how far the audit log goes. */
  auditHead(last: string): Promise<string>;
}
