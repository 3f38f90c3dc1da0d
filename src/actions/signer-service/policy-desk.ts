/** The desk of a policy and a signer: what `sign-request --policy` does, for requests of the queue. */
import { type AuditFacts, makeAuditHead, makeAuditLine } from "../../formats/audit-log/index.ts";
import type { Approval, RequestFile, SigningRequest } from "../../formats/signing-request/index.ts";
import { FILES } from "../../formats/signing-request/index.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { PolicyError, quote, type SealwrightError, UsageError } from "../../lib/errors.ts";
import { toLogKey } from "../../model/audit-log/index.ts";
import type { Registries } from "../../model/registry/index.ts";
import { openSigner, type Signer, type SignerOptions } from "../../model/signing/index.ts";
import type { AuditWriter, SigningQueue } from "../../model/signing-queue/index.ts";
import { repositoryOf } from "../sign-request/image-name.ts";
import { type LoadedPolicy, loadPolicy } from "../sign-request/load-policy.ts";
import { type OpenReview, openReview, type Review, refusalOf } from "../sign-request/review.ts";
import { refusedFacts, signedFacts, signItems } from "../sign-request/sign-items.ts";
import { AuditTrail } from "./audit-trail.ts";
import type { Approver, DeskWork, Reviewed, Signed, SigningDesk } from "./desk.ts";
import { APPROVALS_RULE, toReviewView } from "./review-view.ts";

export interface PolicyDeskOptions {
  readonly policyPath: string;
  /** In the notation of `openSigner`. */
  readonly key: string;
  readonly signer: SignerOptions;
  readonly queue: SigningQueue;
  readonly registries?: Registries | undefined;
  readonly cacheDirectory?: string | undefined;
  readonly now: () => Date;
}

/**
 * Opens signer and log key once; the policy is read anew for every request.
 *
 * @throws {PolicyError} `service.audit-missing` for a policy without a key for the audit log
 * @throws as `loadPolicy`, `openSigner`
 */
export async function openPolicyDesk(options: PolicyDeskOptions): Promise<SigningDesk> {
  const { audit } = await loadPolicy(options.policyPath);
  if (audit === undefined) {
    throw new PolicyError("service.audit-missing", `policy ${quote(options.policyPath)}: there is no [audit]`, {
      hint: "the service writes down what it signs: name the key of its log in the policy",
    });
  }
  const signer = await openSigner(options.key, options.signer);
  try {
    const { passphrasePath: _, ...rest } = options.signer;
    const rules = { ...rest, certificatePath: audit.certificatePath, allowEllipticCurve: true };
    return new PolicyDesk(options, signer, await openSigner(audit.key, rules));
  } catch (error) {
    await signer[Symbol.asyncDispose]();
    throw error;
  }
}

class PolicyDesk implements SigningDesk {
  readonly #options: PolicyDeskOptions;
  readonly #signer: Signer;
  readonly #log: Signer;
  readonly #trail: AuditTrail;

  constructor(options: PolicyDeskOptions, signer: Signer, log: Signer) {
    this.#options = options;
    this.#signer = signer;
    this.#log = log;
    this.#trail = new AuditTrail(options.queue, log.certificate.publicKey);
  }

  async approvers(): Promise<readonly Approver[]> {
    const { approvers } = await loadPolicy(this.#options.policyPath);
    return [...approvers].map(([name, key]) => ({ name, key }));
  }

  neededFiles({ seal: { addons, stub } }: SigningRequest): readonly RequestFile[] {
    const given = [...addons, ...(stub === undefined ? [] : [stub])];
    return given.map(({ file, sha256, size }) => ({ name: file.slice(FILES.length + 1), size, sha256 }));
  }

  async review(work: DeskWork): Promise<Reviewed> {
    const policy = await loadPolicy(this.#options.policyPath);
    this.#requireOurs(work.request, policy);
    await using open = await this.#open(work, policy, []);
    const { review } = open;
    const refusal = refusalOf(withoutApprovals(review));
    return {
      review: toReviewView(review, this.#options.now()),
      quorum: policy.quorum,
      refusal: refusal && { error: refusal, audit: this.#auditRefusal(review, policy, refusal) },
    };
  }

  async sign(work: DeskWork, approvals: readonly Approval[]): Promise<Signed> {
    const policy = await loadPolicy(this.#options.policyPath);
    this.#requireOurs(work.request, policy);
    await using open = await this.#open(work, policy, approvals);
    const { remade, review } = open;
    const refusal = refusalOf(review);
    if (refusal !== undefined) throw refusal;
    const files = new Map([...remade.made.unsigned].map(([name, { bytes }]) => [name, bytes]));
    const signatures = await signItems(review.request, files, this.#signer);
    return {
      signatures: signatures.map(({ name, signature }) => ({
        file: `${name}.sig`,
        bytes: Buffer.from(signature).toString("base64"),
      })),
      audit: this.#audit(signedFacts({ ...review, policy: policy.sha256 }, signatures)),
    };
  }

  async auditHead(last: string): Promise<string> {
    return Buffer.from(await makeAuditHead(Buffer.from(last), this.#logKey())).toString();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#signer[Symbol.asyncDispose]();
    await this.#log[Symbol.asyncDispose]();
  }

  /** Before anything is fetched: a request must not send this machine to places that the policy does not name. */
  #requireOurs({ certificate, id, image }: SigningRequest, { repositories, rules }: LoadedPolicy): void {
    const repository = repositoryOf(image.source);
    if (!repositories.some((glob) => glob(repository))) {
      const allowed = rules.repositories.map(quote).join(", ");
      throw new PolicyError("policy.repository", `signing request ${id}: ${repository}: expected one of ${allowed}`);
    }
    const ours = toHex(this.#signer.certificate.fingerprint);
    if (certificate.fingerprint === ours) return;
    throw new UsageError(
      "signing-request.other-signer",
      `the request asks for the key of "${certificate.subject}" (${certificate.fingerprint}), this service has that of ` +
        `"${this.#signer.certificate.subject}" (${ours})`,
    );
  }

  async #open(
    { directory, progress, request, signal }: DeskWork,
    policy: LoadedPolicy,
    approvals: readonly Approval[],
  ): Promise<OpenReview> {
    const { cacheDirectory, now, registries } = this.#options;
    return await openReview(directory, request, {
      policy,
      history: await this.#trail.history(),
      approvals: approvals.map((approval) => ({ file: `${approval.approver}.json`, approval })),
      now: now(),
      cacheDirectory,
      registries,
      signal,
      progress,
    });
  }

  #auditRefusal(review: Review, { sha256 }: LoadedPolicy, refusal: SealwrightError): AuditWriter {
    return this.#audit(refusedFacts({ ...review, policy: sha256 }, refusal));
  }

  #audit(facts: AuditFacts): AuditWriter {
    return async (last) => {
      const before = last === undefined ? undefined : Buffer.from(last);
      return Buffer.from(await makeAuditLine(before, facts, this.#options.now(), this.#logKey())).toString();
    };
  }

  #logKey() {
    const { certificate } = this.#log;
    return toLogKey({ publicKey: certificate.publicKey, sign: (message) => this.#log.sign(message) });
  }
}

const withoutApprovals = (review: Review): Review => ({
  ...review,
  rules: review.rules.filter(({ rule }) => rule !== APPROVALS_RULE),
});
