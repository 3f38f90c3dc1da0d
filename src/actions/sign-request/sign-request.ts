/** Signs a request: with a policy what the image itself confirms, without one what lies in the directory. */
import type { AuditPosition } from "../../formats/audit-log/index.ts";
import { PCR_ROLE, type SigningRequest } from "../../formats/signing-request/index.ts";
import { parseCertificate } from "../../formats/x509/index.ts";
import { PolicyError, quote, SealwrightError, UsageError } from "../../lib/errors.ts";
import { appendAuditEntry, toLogKey } from "../../model/audit-log/index.ts";
import { requireKeyType, requireValidity } from "../../model/signing/certificate-rules.ts";
import {
  openPolicyKey,
  openSigner,
  type PolicyKey,
  type Signer,
  type SignerOptions,
} from "../../model/signing/index.ts";
import {
  loadApprovals,
  loadRequestFile,
  loadSigningRequest,
  storeRawSignature,
} from "../../model/signing-request/index.ts";
import type { RemakeOptions } from "../seal/remake.ts";
import { loadHistory } from "./history.ts";
import { type AuditPlace, type LoadedPolicy, loadPolicy } from "./load-policy.ts";
import { type OpenReview, openReview, type Review, refusalOf } from "./review.ts";
import { type ItemSignature, signedFacts, signItems } from "./sign-items.ts";

export interface SignRequestOptions extends RemakeOptions, SignerOptions {
  /** A file, or a key elsewhere in the notation of `openSigner`. */
  readonly key?: string | undefined;
  /** The same, for PCR policies. */
  readonly pcrKey?: string | undefined;
  /** Absent: whoever made the request is believed. */
  readonly policyPath?: string | undefined;
  /** Sign this request and no other: the identifier of the one that was looked at. */
  readonly expectedId?: string | undefined;
  /** Look, and sign nothing. */
  readonly dryRun?: boolean;
  readonly signal?: AbortSignal | undefined;
}

export interface SignRequestReport {
  readonly directory: string;
  readonly request: SigningRequest;
  /** With a policy. */
  readonly review?: Review;
  /** Why nothing was signed although it was to be. */
  readonly refusal?: { readonly code: string; readonly message: string };
  /** Names of the items that were signed. */
  readonly signed: readonly string[];
  /** Where it was written down. */
  readonly audit?: AuditPosition & { readonly log: string };
}

/**
 * Signs what a request asks for.
 *
 * With a policy, the image is read, the UKI built again from it, and the request must come out bit for bit; the rules
 * of the policy are held against it; and what is signed is written to the audit log before a signature leaves. Without
 * a policy, the files in the directory are signed when they are those that the request means.
 *
 * @returns also where a rule refuses: with `refusal`, and nothing signed
 * @throws {UsageError} `signer.missing`, `signing-request.other-id`, `signing-request.other-signer`
 * @throws {VerificationError} `signing-request.…`, `audit.…`; {FormatError} `policy.…`
 * @throws whatever opening the image and the signer throw
 */
export async function signRequest(directory: string, options: SignRequestOptions): Promise<SignRequestReport> {
  const request = await loadSigningRequest(directory);
  requireExpected(request, options.expectedId);
  if (options.policyPath === undefined) return await signUnseen(directory, request, options);
  const policy = await loadPolicy(options.policyPath);
  const { audit } = policy;
  await using log = audit && (await openLogSigner(audit, options));
  const history = audit && log ? await loadHistory(audit.log, log.certificate.publicKey) : NO_HISTORY;
  const approvals = await loadApprovals(directory);
  await using open = await openReview(directory, request, { ...options, policy, history, approvals });
  const { review } = open;
  const refusal = refusalOf(review);
  const report: SignRequestReport = {
    directory,
    request,
    review,
    ...(refusal && { refusal: { code: refusal.code, message: refusal.message } }),
    signed: [],
  };
  if (refusal !== undefined || options.dryRun === true) return report;
  return { ...report, ...(await signReviewed(directory, open, policy, log, options)) };
}

const NO_HISTORY = { lastSigned: () => undefined };

async function signReviewed(
  directory: string,
  { remade, review }: OpenReview,
  policy: LoadedPolicy,
  log: Signer | undefined,
  options: SignRequestOptions,
): Promise<Pick<SignRequestReport, "signed" | "audit">> {
  await using signer = await openRequestSigner(review.request, options);
  await using pcrKey = await openPcrSigner(options);
  const files = new Map([...remade.made.unsigned].map(([name, { bytes }]) => [name, bytes]));
  const signatures = await signItems(review.request, files, signer, pcrKey);
  const facts = signedFacts({ ...review, policy: policy.sha256 }, signatures);
  const key = log && toLogKey({ publicKey: log.certificate.publicKey, sign: (message) => log.sign(message) });
  const written =
    policy.audit && key && (await appendAuditEntry(policy.audit.log, facts, () => options.now, key, options.signal));
  await storeSignatures(directory, signatures);
  return {
    signed: signatures.map(({ name }) => name),
    ...(written && policy.audit && { audit: { ...written, log: policy.audit.log } }),
  };
}

/** Without a policy: the files are those of the request, and what is signed is about them. */
async function signUnseen(
  directory: string,
  request: SigningRequest,
  options: SignRequestOptions,
): Promise<SignRequestReport> {
  const report = { directory, request, signed: [] };
  const files = new Map<string, Uint8Array>();
  for (const item of request.items) {
    if (item.role !== PCR_ROLE) files.set(item.name, await loadRequestFile(directory, item));
  }
  if (options.dryRun === true) return report;
  await using signer = await openRequestSigner(request, options);
  await using pcrKey = await openPcrSigner(options);
  const signatures = await signItems(request, files, signer, pcrKey);
  await storeSignatures(directory, signatures);
  return { ...report, signed: signatures.map(({ name }) => name) };
}

async function storeSignatures(directory: string, signatures: readonly ItemSignature[]): Promise<void> {
  for (const { name, signature } of signatures) await storeRawSignature(directory, name, signature);
}

function requireExpected({ id }: SigningRequest, expected: string | undefined): void {
  if (expected === undefined || expected === id) return;
  throw new UsageError("signing-request.other-id", `the request is ${id}, expected ${quote(expected)}`, {
    hint: "somebody put another request into the directory: look at it again",
  });
}

/** Without a certificate of its own, the key is one for that of the request. */
async function openRequestSigner(
  { certificate }: SigningRequest,
  options: SignRequestOptions,
): Promise<Signer | undefined> {
  if (options.key === undefined) return undefined;
  if (options.certificatePath !== undefined) return await openSigner(options.key, options);
  const asked = parseCertificate(Buffer.from(certificate.der, "base64"), "certificate of the request");
  requireValidity(asked, options);
  requireKeyType(asked.publicKey.facts, options);
  try {
    const key = await openPolicyKey(options.key, { ...options, publicKey: asked.publicKey.spki });
    return {
      certificate: asked,
      sign: (message) => key.sign(message),
      [Symbol.asyncDispose]: () => key[Symbol.asyncDispose](),
    };
  } catch (error) {
    if (!(error instanceof UsageError) || error.code !== "uki.pcr.key-mismatch") throw error;
    const message = `the request asks for the key of "${certificate.subject}" (${certificate.fingerprint}), this is another`;
    throw new UsageError("signing-request.other-signer", message, { cause: error });
  }
}

async function openPcrSigner({ pcrKey, ...options }: SignRequestOptions): Promise<PolicyKey | undefined> {
  return pcrKey === undefined ? undefined : await openPolicyKey(pcrKey, options);
}

/** A log's key signs no PE file: firmware has no say in its type. */
async function openLogSigner({ certificatePath, key }: AuditPlace, options: SignRequestOptions): Promise<Signer> {
  const { passphrasePath: _, ...rest } = options;
  try {
    return await openSigner(key, { ...rest, certificatePath, allowEllipticCurve: true });
  } catch (error) {
    if (!(error instanceof SealwrightError)) throw error;
    throw new PolicyError("policy.audit-key", `key of the audit log: ${error.message}`, {
      cause: error,
      data: { reason: error.code },
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    });
  }
}
