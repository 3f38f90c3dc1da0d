/** Reviews and signs what is in the queue, one job after the other. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  APPROVALS,
  type Approval,
  FILES,
  parseApproval,
  parseSigningRequest,
  REQUEST_FILE,
  SIGNATURES,
  verifyApproval,
} from "../../formats/signing-request/index.ts";
import {
  CommandError,
  InputOutputError,
  InterruptedError,
  PolicyError,
  RegistryError,
  SealwrightError,
  ServiceError,
} from "../../lib/errors.ts";
import { storeFile } from "../../model/host-io/files.ts";
import { openTempDir } from "../../model/host-io/temp.ts";
import {
  claimJob,
  expireRequests,
  type FullRequest,
  finishReview,
  finishSigning,
  type Job,
  loadRequest,
  refuseJob,
  releaseJob,
  renewJob,
  type SigningQueue,
  streamRequestFile,
} from "../../model/signing-queue/index.ts";
import type { DeskWork, SigningDesk } from "./desk.ts";
import type { Log } from "./log.ts";
import { toRefusal } from "./views.ts";

export interface WorkerOptions {
  readonly queue: SigningQueue;
  readonly desk: SigningDesk;
  /** Unlike that of every other worker. */
  readonly owner: string;
  readonly now: () => Date;
  readonly log: Log;
  /** How long a job is ours without a sign of life. */
  readonly leaseMs?: number;
}

const LEASE_MS = 60_000;

/** When nothing has been submitted to this process, another one may have had something. */
const POLL_MS = 1000;

/** Waits twice as long each time. */
const FIRST_DELAY_MS = 2_000;
const MAX_DELAY_MS = 5 * 60_000;

/** A fault of the program that comes back this often will come again. */
const MAX_FAULTS = 5;

export class SigningWorker {
  readonly #options: Required<WorkerOptions>;
  #wake: () => void = () => {};

  constructor(options: WorkerOptions) {
    this.#options = { leaseMs: LEASE_MS, ...options };
  }

  /** Something is to be done: look now. */
  nudge(): void {
    this.#wake();
  }

  /** Works until the signal; a job at hand is given back. */
  async run(signal: AbortSignal): Promise<void> {
    const { log } = this.#options;
    while (!signal.aborted) {
      const woken = this.#untilWoken(signal);
      try {
        while (!signal.aborted && (await this.step(signal))) continue;
      } catch (error) {
        log.fault("worker", error); // the database is away: look again later
      }
      await woken;
    }
  }

  /** Does one job. Returns whether there was one. */
  async step(signal: AbortSignal): Promise<boolean> {
    const { leaseMs, log, now, owner, queue } = this.#options;
    const expired = await expireRequests(queue, now());
    if (expired > 0) log.info("expired", { requests: expired });
    const job = await claimJob(queue, owner, now(), leaseMs);
    if (job === undefined) return false;
    log.info("job", { request: job.id, job: job.state, attempt: job.attempt });
    try {
      await this.#withLease(job, signal, (lost) => this.#work(job, lost));
    } catch (error) {
      await this.#giveBack(job, error);
    }
    return true;
  }

  /** Keeps the lease while the work goes on; work whose lease is lost is stopped. */
  async #withLease(job: Job, signal: AbortSignal, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const { leaseMs, now, queue } = this.#options;
    const over = new AbortController();
    const stop = new AbortController();
    const renewing = (async () => {
      while (await elapsed(leaseMs / 3, over.signal)) await renewJob(queue, job, now(), leaseMs);
    })().catch((error: unknown) => stop.abort(error));
    try {
      await work(AbortSignal.any([signal, stop.signal]));
    } finally {
      over.abort();
      await renewing;
    }
  }

  async #work(job: Job, signal: AbortSignal): Promise<void> {
    const { desk, log, queue } = this.#options;
    const entry = await loadRequest(queue, job.id);
    await using place = await openTempDir("sealwright-request");
    const request = parseSigningRequest(entry.document);
    await this.#fill(place.path, entry);
    const work: DeskWork = {
      request,
      directory: place.path,
      signal,
      progress: ({ step, text }) => log.debug("progress", { request: job.id, step, text }),
    };
    if (job.state === "reviewing") {
      const { quorum, refusal, review } = await desk.review(work);
      if (refusal !== undefined) await refuseJob(queue, job, toRefusal(refusal.error), refusal.audit, review);
      else await finishReview(queue, job, { review, quorum });
      log.info("reviewed", { request: job.id, quorum, ...(refusal && { refused: refusal.error.code }) });
    } else {
      const approvals = await this.#approvals(entry);
      // Signing is what must not happen twice, so the lease is looked at once more right before.
      await renewJob(queue, job, this.#options.now(), this.#options.leaseMs);
      const { audit, signatures } = await desk.sign(work, approvals);
      await finishSigning(queue, job, signatures, audit);
      log.info("signed", { request: job.id, signatures: signatures.length });
    }
  }

  /** The directory of the request, as it would lie on the disk of somebody who signs by hand. */
  async #fill(directory: string, entry: FullRequest): Promise<void> {
    const { queue } = this.#options;
    for (const name of [FILES, SIGNATURES, APPROVALS]) await mkdir(join(directory, name));
    await writeFile(join(directory, REQUEST_FILE), entry.document);
    for (const { name } of entry.files) {
      await storeFile(join(directory, FILES, name), streamRequestFile(queue, entry.id, name));
    }
    for (const { approver, document } of entry.decisions) {
      await writeFile(join(directory, APPROVALS, `${approver}.json`), document);
    }
  }

  /** @throws {PolicyError} `service.quorum-missing` when some do not count any more: the policy may have changed */
  async #approvals(entry: FullRequest): Promise<Approval[]> {
    const approvers = await this.#options.desk.approvers();
    const approvals = entry.decisions.map(({ document }) => parseApproval(document));
    const counting = approvals.filter((approval) => {
      const approver = approvers.find(({ name }) => name === approval.approver);
      if (approver === undefined || approval.decision !== "approve") return false;
      verifyApproval(approval, entry.id, approver.key);
      return true;
    });
    if (counting.length >= (entry.quorum ?? Number.POSITIVE_INFINITY)) return counting;
    throw new PolicyError(
      "service.quorum-missing",
      `request ${entry.id}: ${counting.length} approvals count by the policy of now, expected ${entry.quorum}`,
    );
  }

  /** What a later try may mend waits for it; what does not hold is refused. */
  async #giveBack(job: Job, error: unknown): Promise<void> {
    const { log, now, queue } = this.#options;
    const lost = error instanceof SealwrightError && error.code === "service.lease-lost";
    log.fault("job", error, { request: job.id });
    if (lost) return;
    const trouble = error instanceof SealwrightError ? toRefusal(error) : FAULT;
    try {
      if (error instanceof InterruptedError) await releaseJob(queue, job, trouble, now(), 0);
      else if (isPassing(error, job.attempt)) await releaseJob(queue, job, trouble, now(), delayOf(job.attempt));
      else await refuseJob(queue, job, trouble, undefined);
    } catch (failure) {
      log.fault("job", failure, { request: job.id }); // its lease ends by itself
    }
  }

  /** Until somebody nudges, or it is time to look for what others have submitted. */
  async #untilWoken(signal: AbortSignal): Promise<void> {
    const wake = new AbortController();
    this.#wake = () => wake.abort();
    await elapsed(POLL_MS, AbortSignal.any([signal, wake.signal]));
  }
}

/** Says no details: what is unexpected may hold anything. The log has them. */
const FAULT = { code: "internal", message: "a fault of the service; its log says more" };

/**
 * Networks and disks come back, and troubles of our own keys are no fault of the request; digests and signatures that do
 * not hold stay that way.
 */
function isPassing(error: unknown, attempt: number): boolean {
  if (!(error instanceof SealwrightError)) return attempt < MAX_FAULTS;
  if (error instanceof RegistryError) return error.temporary;
  return PASSING.some((family) => error instanceof family) || error.code.startsWith("signer.");
}

const PASSING = [InputOutputError, CommandError, ServiceError] as const;

const delayOf = (attempt: number): number => Math.min(FIRST_DELAY_MS * 2 ** (attempt - 1), MAX_DELAY_MS);

/** Whether the time went by without the signal. */
async function elapsed(ms: number, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return false;
  try {
    await sleep(ms, undefined, { signal });
    return true;
  } catch {
    return false;
  }
}
