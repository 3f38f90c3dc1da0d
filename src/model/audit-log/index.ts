/**
 * The audit log of a signer, in a file that only grows.
 *
 *     facts --appendAuditEntry--> LOG, LOG.head      under LOG.lock, flushed before it returns
 *     LOG, LOG.head --verifyAuditFile--> entries     each verified before it is shown
 */
export { appendAuditEntry, headPath, type VerifyLogOptions, verifyAuditFile } from "./audit-file.ts";
export { type DetachedSigner, toLogKey } from "./log-key.ts";
