/** The desk of a policy and a signer: what `sign-request --policy` does, for requests of the queue. */
import { type AuditFacts, makeAuditHead, makeAuditLine } from "../../formats/audit-log/index.ts";
import type { Approval, RequestFile, SigningRequest } from "../../formats/signing-request/index.ts";
import { FILES } from "../../formats/signing-request/index.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { InputOutputError, PolicyError, quote, SealwrightError, UsageError } from "../../lib/errors.ts";
import { toLogKey } from "../../model/audit-log/index.ts";
import type { Registries } from "../../model/registry/index.ts";
import {
  openPolicyKey,
  openSigner,
  type PolicyKey,
  type Signer,
  type SignerOptions,
} from "../../model/signing/index.ts";
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
  /** The same, for PCR policies. */
  readonly pcrKey?: string | undefined;
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
  await using opened = new AsyncDisposableStack();
  const signer = opened.use(await openSigner(options.key, options.signer));
  const { certificatePath: _, ...keyOptions } = options.signer;
  const pcrKey = options.pcrKey === undefined ? undefined : opened.use(await openPolicyKey(options.pcrKey, keyOptions));
  const { passphrasePath: __, ...rest } = keyOptions;
  const rules = { ...rest, certificatePath: audit.certificatePath, allowEllipticCurve: true };
  const log = opened.use(await openSigner(audit.key, rules));
  return new PolicyDesk(options, { signer, pcrKey, log, opened: opened.move() });
}

/** Open as long as the desk is. */
interface DeskKeys {
  readonly signer: Signer;
  readonly pcrKey: PolicyKey | undefined;
  readonly log: Signer;
  readonly opened: AsyncDisposable;
}

class PolicyDesk implements SigningDesk {
  readonly #options: PolicyDeskOptions;
  readonly #keys: DeskKeys;
  readonly #trail: AuditTrail;

  constructor(options: PolicyDeskOptions, keys: DeskKeys) {
    this.#options = options;
    this.#keys = keys;
    this.#trail = new AuditTrail(options.queue, keys.log.certificate.publicKey);
  }

  async approvers(): Promise<readonly Approver[]> {
    const { approvers } = await this.#policy();
    return [...approvers].map(([name, key]) => ({ name, key }));
  }

  neededFiles({ seal: { addons, stub } }: SigningRequest): readonly RequestFile[] {
    const given = [...addons, ...(stub === undefined ? [] : [stub])];
    return given.map(({ file, sha256, size }) => ({ name: file.slice(FILES.length + 1), size, sha256 }));
  }

  async review(work: DeskWork): Promise<Reviewed> {
    const policy = await this.#policy();
    this.#requireOurs(work.request, policy);
    await using open = await this.#open(work, policy, []);
    const { review } = open;
    const refusal = refusalOf(withoutApprovals(review));
    return {
      review: toReviewView(review, this.#options.now(), policy.rules.lint !== "off"),
      quorum: policy.quorum,
      refusal: refusal && { error: refusal, audit: this.#auditRefusal(review, policy, refusal) },
    };
  }

  async sign(work: DeskWork, approvals: readonly Approval[]): Promise<Signed> {
    const policy = await this.#policy();
    this.#requireOurs(work.request, policy);
    await using open = await this.#open(work, policy, approvals);
    const { remade, review } = open;
    const refusal = refusalOf(review);
    if (refusal !== undefined) throw refusal;
    const files = new Map([...remade.made.unsigned].map(([name, { bytes }]) => [name, bytes]));
    const signatures = await signItems(review.request, files, this.#keys.signer, this.#keys.pcrKey);
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
    await this.#keys.opened[Symbol.asyncDispose]();
  }

  #policy(): Promise<LoadedPolicy> {
    return ours("policy", () => loadPolicy(this.#options.policyPath));
  }

  /** Before anything is fetched: a request must not send this machine to places that the policy does not name. */
  #requireOurs({ certificate, id, image }: SigningRequest, { repositories, rules }: LoadedPolicy): void {
    const repository = repositoryOf(image.source);
    if (!repositories.some((glob) => glob(repository))) {
      const allowed = rules.repositories.map(quote).join(", ");
      throw new PolicyError("policy.repository", `signing request ${id}: ${repository}: expected one of ${allowed}`);
    }
    const own = this.#keys.signer.certificate;
    const ours = toHex(own.fingerprint);
    if (certificate.fingerprint === ours) return;
    throw new UsageError(
      "signing-request.other-signer",
      `the request asks for the key of "${certificate.subject}" (${certificate.fingerprint}), this service has that of ` +
        `"${own.subject}" (${ours})`,
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
      history: await ours("audit log", () => this.#trail.history()),
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
    const { log } = this.#keys;
    return toLogKey({ publicKey: log.certificate.publicKey, sign: (message) => log.sign(message) });
  }
}

/** What is wrong with the service's own files is no fault of a request: it waits until somebody mends them. */
async function ours<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (!(cause instanceof SealwrightError)) throw cause;
    const data = { reason: cause.code };
    throw new InputOutputError("service.out-of-order", `the ${what} of this service cannot be used`, { cause, data });
  }
}

const withoutApprovals = (review: Review): Review => ({
  ...review,
  rules: review.rules.filter(({ rule }) => rule !== APPROVALS_RULE),
});
