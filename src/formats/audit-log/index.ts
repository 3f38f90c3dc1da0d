/**
 * The audit log of a signer: one line of canonical JSON (RFC 8785) for each thing that was signed.
 *
 *     { sequence 0, previous 000…, facts, key, signature } LF       SHA-256 of the line --.
 *     { sequence 1, previous <------------------------------------------------------------'
 *
 *     LOG.head   { sequence, line: SHA-256 of the last line, signature }
 *
 * Each entry is signed and names the one before, so none can be changed, left out or moved. A cut end is seen by the
 * head; a log and a head that were both put back to an earlier state are seen by whoever remembers a later position.
 *
 * Version 1 of both. Signatures have the forms of `SIGNATURE_ALGORITHMS`. Not supported: several keys in one log.
 */
export {
  type AuditEntry,
  type AuditFacts,
  describeEntry,
  encodeAuditLine,
  hashLine,
  type LogKey,
  makeAuditLine,
  parseAuditLine,
} from "./entry.ts";
export { type AuditHead, type AuditPosition, makeAuditHead, parseAuditHead, verifyAuditHead } from "./head.ts";
export { MAX_HEAD_SIZE, MAX_LINE_SIZE } from "./layout.ts";
export { AuditVerifier } from "./verify.ts";
