/** What the signing service and those who talk to it say to each other, as JSON. Types only: the page has them too. */
import type { SigningRequest } from "../../formats/signing-request/index.ts";

export type Role = "builder" | "approver" | "auditor";

export type RequestState =
  | "receiving"
  | "reviewing"
  | "waiting"
  | "signing"
  | "signed"
  | "refused"
  | "rejected"
  | "expired";

/** Who one is to the service. */
export interface SessionView {
  readonly name: string;
  readonly role: Role;
}

export interface DecisionView {
  readonly approver: string;
  readonly verdict: "approved" | "rejected";
  readonly reason?: string;
  /** ISO 8601, UTC; so is every time. */
  readonly decidedAt: string;
}

export interface RefusalView {
  /** Cause code. */
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
}

/** A request in a list. */
export interface RequestView {
  readonly id: string;
  readonly state: RequestState;
  readonly image: string;
  /** Client that submitted it. */
  readonly builder: string;
  readonly submittedAt: string;
  readonly expiresAt: string;
  /** Approvals that are needed; null until the review is done. */
  readonly quorum: number | null;
  readonly decisions: readonly DecisionView[];
  /** Of `refused` and `rejected` requests; of others what last kept the service from going on. */
  readonly refusal: RefusalView | null;
  /** Counts the changes of this request. */
  readonly revision: number;
}

/** A request with everything that an approver wants to see. */
export interface RequestDetails extends RequestView {
  readonly request: SigningRequest;
  /** Names of files that the service still waits for. */
  readonly missing: readonly string[];
  readonly review: ReviewView | null;
}

export type Tone = "good" | "bad" | "warn" | "plain";

/** What the service found when it made the request again from the image itself. */
export interface ReviewView {
  readonly reviewedAt: string;
  /** Rules of the policy, each with its outcome. */
  readonly verdicts: readonly VerdictView[];
  /** Null when the policy does not want to know. */
  readonly lint: readonly LintView[] | null;
  /** Against the image of that name that was signed last; null when there is none. */
  readonly diff: DiffView | null;
}

export interface VerdictView {
  readonly rule: string;
  readonly holds: boolean;
  readonly detail: string;
  /** Cause code of what does not hold. */
  readonly code?: string;
}

export interface LintView {
  readonly level: "fatal" | "warning";
  readonly name: string;
  readonly code: string;
  readonly message: string;
  readonly paths?: readonly string[];
}

export interface DiffView {
  /** Manifest digest of the image before. */
  readonly before: string;
  readonly beforeName?: string;
  /** What gives rights or runs by itself comes first. */
  readonly sections: readonly DiffSectionView[];
  /** Why they cannot be compared. */
  readonly problem?: RefusalView;
}

export interface DiffSectionView {
  readonly title: string;
  readonly summary: string;
  readonly rows: readonly DiffRowView[];
  /** Rows that were left out. */
  readonly omitted: number;
}

export interface DiffRowView {
  readonly mark: "+" | "-" | "~";
  readonly cells: readonly string[];
}

/** Somebody whose decisions count. */
export interface ApproverView {
  readonly name: string;
  /** SHA-256 of the SubjectPublicKeyInfo, lower-case hex. */
  readonly publicKey: string;
}

/** A signature of one item. */
export interface SignatureView {
  /** In `signatures/` of the request's directory. */
  readonly file: string;
  /** Base64. */
  readonly bytes: string;
}

/** In `/api/v1/events`, as server-sent events named `change`: what has changed, and to which state. */
export interface ChangeEvent {
  readonly id: string;
  readonly state: RequestState;
  readonly revision: number;
}

/** The body of every answer that is a refusal. */
export interface FailureBody {
  readonly error: RefusalView;
}
