/**
 * The policy of a signer: what it is willing to sign, in TOML 1.0.
 *
 *     repositories, targets, certificates, max-age, stubs, lint …      rules
 *     [kernel-arguments]  required, forbidden                           globs on single arguments
 *     [approvals]         quorum, [approvals.approvers] NAME = KEY      who has to agree
 *     [audit]             log, key, certificate                         where it is written down
 *
 * docs/signing-elsewhere.md has every key with an example. Keys that are not known are refused.
 */
export { type Glob, parseGlob } from "./glob.ts";
export { MAX_POLICY_SIZE, parseSigningPolicy, type SigningPolicy } from "./policy.ts";
