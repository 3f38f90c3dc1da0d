/** What you see is what you sign: a request held against its image and a policy. */
import type { AuditEntry } from "../../formats/audit-log/index.ts";
import type { SigningRequest } from "../../formats/signing-request/index.ts";
import { PolicyError, SealwrightError } from "../../lib/errors.ts";
import { silent } from "../../lib/progress.ts";
import type { FoundApproval } from "../../model/signing-request/index.ts";
import { diffImages } from "../diff/diff-images.ts";
import type { DiffReport } from "../diff/report.ts";
import { type LintFinding, type LintReport, lintImage } from "../lint/lint-image.ts";
import { type RemadeSeal, type RemakeOptions, remakeSeal } from "../seal/remake.ts";
import { type JudgedApprovals, judgeApprovals } from "./approvals.ts";
import type { SigningHistory } from "./history.ts";
import { imageName, pinned } from "./image-name.ts";
import type { LoadedPolicy } from "./load-policy.ts";
import { judgeRules, type RuleVerdict } from "./rules.ts";

export interface ReviewOptions extends RemakeOptions {
  readonly policy: LoadedPolicy;
  readonly history: SigningHistory;
  readonly approvals: readonly FoundApproval[];
  readonly now: Date;
}

/** The image of this name that was signed before. */
export interface LastSigned {
  readonly manifestDigest: string;
  readonly time: string;
  readonly version?: string;
}

export interface Review {
  readonly request: SigningRequest;
  /** Under which signers remember it. */
  readonly name: string;
  /** Where the image was read. */
  readonly readFrom: string;
  readonly rules: readonly RuleVerdict[];
  readonly approvals: JudgedApprovals;
  readonly lint: readonly LintFinding[];
  readonly last: LastSigned | null;
  /** From the last one of that name to this one; null without one, or when it cannot be read any more. */
  readonly diff: DiffReport | null;
  /** Why there is none although there was a last one. */
  readonly diffProblem?: { readonly code: string; readonly message: string };
  /** Whether every rule does. */
  readonly holds: boolean;
}

/** A review with what it was made on. Closing it closes the image. */
export interface OpenReview extends AsyncDisposable {
  readonly review: Review;
  readonly remade: RemadeSeal;
}

/**
 * Makes a request again from its image and holds the rules of a policy against it.
 *
 * @param directory of the request: only a stub and addons that are not the image's are taken from it
 * @throws {VerificationError} `signing-request.stale`, `signing-request.differs`; as `remakeSeal`
 */
export async function openReview(
  directory: string,
  request: SigningRequest,
  options: ReviewOptions,
): Promise<OpenReview> {
  const { history, now, policy, progress = silent } = options;
  const readFrom = options.image ?? request.image.source;
  const remade = await remakeSeal(directory, request, options);
  try {
    const { manifestDigest, platform } = request.image;
    const here = pinned(readFrom, manifestDigest);
    const reading = { ...pick(options), platform };
    progress({ step: "review.lint", text: "looking for mistakes in the image" });
    const lint = await lintAsTold(here, policy, { ...reading, now });
    const name = imageName(request);
    const last = history.lastSigned(name, platform);
    progress({ step: "review.diff", text: "comparing with the image that was signed last" });
    const compared = last && (await compare(last, here, reading));
    const approvals = judgeApprovals(options.approvals, request.id, policy);
    const rules = judgeRules({
      request,
      policy,
      readFrom,
      last,
      lint: lint && summarize(lint, policy),
      approvals,
      now,
    });
    const review: Review = {
      request,
      name,
      readFrom,
      rules,
      approvals,
      lint: lint?.findings ?? [],
      last: last === undefined ? null : describeLast(last),
      diff: null,
      ...compared,
      holds: rules.every((rule) => rule.holds),
    };
    return { review, remade, [Symbol.asyncDispose]: () => remade[Symbol.asyncDispose]() };
  } catch (error) {
    await remade[Symbol.asyncDispose]();
    throw error;
  }
}

/**
 * The refusal of the first rule that does not hold, or nothing.
 *
 * Its `data` has every rule.
 */
export function refusalOf({ request, rules }: Review): PolicyError | undefined {
  const [first, ...others] = rules.filter(({ holds }) => !holds);
  if (first?.code === undefined) return undefined;
  const more = others.length === 0 ? "" : ` (and ${others.length} more: ${others.map(({ code }) => code).join(", ")})`;
  return new PolicyError(first.code, `signing request ${request.id}: ${first.rule}: ${first.detail}${more}`, {
    data: { request: request.id, rules },
  });
}

type Reading = Pick<ReviewOptions, "cacheDirectory" | "registries" | "signal" | "progress">;

const pick = ({ cacheDirectory, progress, registries, signal }: ReviewOptions): Reading => ({
  cacheDirectory,
  progress,
  registries,
  signal,
});

async function lintAsTold(
  reference: string,
  { rules }: LoadedPolicy,
  options: Reading & { readonly platform: string; readonly now: Date },
) {
  if (rules.lint === "off") return undefined;
  return await lintImage(reference, { ...options, skip: rules["skip-lints"] });
}

function summarize({ findings }: LintReport, { rules }: LoadedPolicy) {
  const failed = findings.filter(({ level }) => level === "fatal" || rules.lint === "warnings");
  return { failed: failed.length, names: failed.map(({ name }) => name) };
}

/** An image that is gone from where it was is no reason to sign nothing any more: the version is in the log. */
async function compare(
  { image }: AuditEntry,
  here: string,
  options: Reading & { readonly platform: string },
): Promise<Pick<Review, "diff" | "diffProblem">> {
  try {
    return { diff: await diffImages(pinned(image.readFrom ?? image.source, image.manifestDigest), here, options) };
  } catch (error) {
    if (!(error instanceof SealwrightError) || error.code === "interrupted") throw error;
    return { diff: null, diffProblem: { code: error.code, message: error.message } };
  }
}

function describeLast({ image, os, time }: AuditEntry): LastSigned {
  const version = os.imageVersion ?? os.version;
  return { manifestDigest: image.manifestDigest, time, ...(version === undefined ? {} : { version }) };
}
