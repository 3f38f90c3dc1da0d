/**
 * What is said about an image beside it: written, found, judged.
 *
 *     writer.attach <-- attachArtifact                manifest with subject: SBOM, statement, bundle, composefs digests
 *                   <-- attachCosignSignature         tag sha256-HEX.sig, which is older than subjects
 *
 *     source --findReferrers--> FoundReferrer --judgeReferrers--> Remark: what it says, and whether a key of ours signed
 *
 * Everybody who may write to a repository can say anything about any image. So nothing here is believed: a remark is
 * signed by a key that the user named, or it is shown as what it is.
 */

export { attachArtifact, type NewArtifact } from "./attach-artifact.ts";
export type { ComposefsFacts } from "./composefs-remark.ts";
export { documentFacts } from "./document-facts.ts";
export { type FoundReferrer, findReferrers } from "./find-referrers.ts";
export { type JudgeOptions, judgeReferrers } from "./judge.ts";
export type { Remark, RemarkKind, SignatureVerdict } from "./remark.ts";
export { type AttestationKey, attachCosignSignature, attachStatement } from "./sign.ts";
export { keysOf, loadVerificationKeys, type VerificationKey } from "./verification-keys.ts";
