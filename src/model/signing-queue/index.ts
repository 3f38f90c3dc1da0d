/**
 * The queue of the signing service: requests, their files, decisions, jobs, the audit log, and who has access.
 *
 *     request --< request_file --< file_chunk        access
 *        '------< decision                           audit (one line an entry)
 *
 * The same SQL on an SQLite file and on PostgreSQL, where several servers share one database. What must never happen is
 * forbidden by the database itself: see `schema.ts`. Clock and random bytes come in.
 */
export {
  type Access,
  addCertificate,
  addToken,
  authenticateCertificate,
  authenticateToken,
  type Client,
  listAccess,
  ROLES,
  type Role,
  revokeAccess,
} from "./access.ts";
export { type AuditWriter, appendAudit, lastAuditLine, streamAudit } from "./audit.ts";
export { openSigningQueue, type SigningQueue } from "./database.ts";
export { decideRequest, type NewDecision } from "./decisions.ts";
export { storeRequestFile, streamRequestFile } from "./files.ts";
export { claimJob, finishReview, finishSigning, type Job, refuseJob, releaseJob, renewJob } from "./jobs.ts";
export {
  type Decision,
  expireRequests,
  type FullRequest,
  listRequests,
  loadRequest,
  type NewRequest,
  type QueuedRequest,
  type Refusal,
  type RequestFile,
  submitRequest,
} from "./requests.ts";
export { isRequestState, REQUEST_STATES, type RequestState } from "./state.ts";
