import { type AuditEntry, AuditVerifier } from "../../formats/audit-log/index.ts";
import type { PublicKey } from "../../formats/x509/index.ts";
import { type SigningQueue, streamAudit } from "../../model/signing-queue/index.ts";
import { historyOf, type SigningHistory } from "../sign-request/history.ts";

/** What the service has signed: the log in the queue, verified once and followed from there. */
export class AuditTrail {
  readonly #queue: SigningQueue;
  readonly #verifier: AuditVerifier;
  readonly #entries: AuditEntry[] = [];
  #following: Promise<void> = Promise.resolve();

  constructor(queue: SigningQueue, key: PublicKey) {
    this.#queue = queue;
    this.#verifier = new AuditVerifier(key);
  }

  /** @throws {VerificationError} `audit.…` when somebody changed the log */
  async history(): Promise<SigningHistory> {
    // One after the other: the verifier takes each line once.
    this.#following = this.#following.then(
      () => this.#follow(),
      () => this.#follow(),
    );
    await this.#following;
    return historyOf(this.#entries);
  }

  async #follow(): Promise<void> {
    for await (const line of streamAudit(this.#queue, this.#entries.length)) {
      this.#entries.push(this.#verifier.next(Buffer.from(line)));
    }
  }
}
