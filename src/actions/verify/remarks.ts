/** What is said about an image beside it, once the image itself was verified. */
import { type BlobDigest, isBlobDigest, parsePlatform, parseReference } from "../../formats/oci/index.ts";
import { PolicyError, quote, SealwrightError, UsageError } from "../../lib/errors.ts";
import { hostPlatform } from "../../model/image/host-platform.ts";
import { openImageSource } from "../../model/image/open-image.ts";
import { chooseCandidate, type ImageSource, resolveIndexes } from "../../model/image/source.ts";
import {
  type ComposefsFacts,
  documentFacts,
  findReferrers,
  judgeReferrers,
  keysOf,
  loadVerificationKeys,
  type Remark,
  type RemarkKind,
} from "../../model/referrers/index.ts";
import type { Registries } from "../../model/registry/index.ts";
import { requireCertificates } from "../../model/signing/index.ts";
import type { Verdict } from "./verdict.ts";

export interface RemarksOptions {
  /** Files with certificates of the Secure Boot db: their keys sign remarks, too. */
  readonly certificates: readonly string[];
  /** Files with more keys, public keys or certificates. */
  readonly attestationKeys?: readonly string[];
  /** Kinds of remarks that must be there, signed by one of these keys, with commas between them. */
  readonly required?: string | undefined;
  /** Of the image that was verified. */
  readonly platform?: string | undefined;
  /** Needed for images in registries. */
  readonly registries?: Registries | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface RemarksReport {
  readonly remarks: readonly Remark[];
  /** Why nothing could be listed. */
  readonly failure?: SealwrightError;
  /** Why the required ones are not there. */
  readonly refusal?: PolicyError;
}

/** Engines and their archives keep images, and nothing that is said about them. */
const KEEPS_REFERRERS: ReadonlySet<string> = new Set(["docker", "oci", "oci-archive"]);

const REQUIRABLE = ["signature", "provenance", "sbom", "composefs"] as const satisfies readonly RemarkKind[];

/**
 * Finds and judges what is said about the verified image, wherever its tag points by now. Nothing of it breaks a link of
 * the chain; what is required and not there is a refusal of its own.
 *
 * @throws {UsageError} `verify.require-unknown`
 * @throws whatever loading the keys throws
 */
export async function remarksOn(
  { digests = {}, image, manifestDigest }: Verdict,
  options: RemarksOptions,
): Promise<RemarksReport> {
  const { attestationKeys = [], certificates, registries, signal } = options;
  const required = parseRequired(options.required);
  if (!isBlobDigest(manifestDigest) || !KEEPS_REFERRERS.has(parseReference(image).transport)) {
    return { remarks: [], ...refuseMissing(required, []) };
  }
  const keys = [...keysOf(await requireCertificates(certificates)), ...(await loadVerificationKeys(attestationKeys))];
  try {
    await using source = await openImageSource(image, { registries, ...(signal && { signal }) });
    const documents = await factsOf(source, manifestDigest, options);
    const composefs: ComposefsFacts = (role, algorithm) =>
      role === "merged.bootable" ? digests[`v1-${algorithm}`] : documents(role, algorithm);
    const found = await findReferrers(source, manifestDigest);
    const remarks = await judgeReferrers(found, { subject: manifestDigest, keys, composefs });
    return { remarks, ...refuseMissing(required, remarks) };
  } catch (error) {
    if (!(error instanceof SealwrightError) || error.code === "interrupted") throw error;
    return { remarks: [], failure: error, ...refuseMissing(required, []) };
  }
}

/** Of the verified image, unless its name means another one by now. */
async function factsOf(
  source: ImageSource,
  verified: BlobDigest,
  { platform }: RemarksOptions,
): Promise<ComposefsFacts> {
  const wanted = {
    platform: platform === undefined ? hostPlatform() : parsePlatform(platform),
    platformRequired: platform !== undefined,
  };
  const found = await resolveIndexes(source, await chooseCandidate(source, wanted), wanted);
  return found.digest === verified ? await documentFacts(source, found) : () => undefined;
}

/** @throws {UsageError} `verify.require-unknown` */
export function parseRequired(list: string | undefined): readonly RemarkKind[] {
  if (list === undefined) return [];
  const names = list.split(",").map((name) => name.trim());
  const unknown = names.find((name) => !(REQUIRABLE as readonly string[]).includes(name));
  if (unknown === undefined) return REQUIRABLE.filter((kind) => names.includes(kind));
  const expected = `some of ${REQUIRABLE.join(", ")}`;
  throw new UsageError("verify.require-unknown", `--require ${quote(unknown)}: expected ${expected}`);
}

function refuseMissing(
  required: readonly RemarkKind[],
  remarks: readonly Remark[],
): { readonly refusal: PolicyError } | Record<string, never> {
  const missing = required.filter((kind) => !remarks.some((remark) => remark.kind === kind && isSound(remark)));
  if (missing.length === 0) return {};
  const message = `found no ${missing.join(" and no ")} that is signed by a given key`;
  return { refusal: new PolicyError("verify.remark-missing", message, { data: { missing } }) };
}

const isSound = ({ fault, signature }: Remark): boolean => fault === undefined && signature.status === "good";
