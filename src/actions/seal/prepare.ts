/** The first half of a seal whose key is elsewhere: writes the request for signatures. */

import { prepareSignature } from "../../formats/authenticode/index.ts";
import { isIndexMediaType } from "../../formats/oci/index.ts";
import type { SigningRequest } from "../../formats/signing-request/index.ts";
import { type Certificate, parseCertificate, parsePublicKey } from "../../formats/x509/index.ts";
import { NotFoundError, quote, UsageError } from "../../lib/errors.ts";
import { silent } from "../../lib/progress.ts";
import { exists, loadFile } from "../../model/host-io/files.ts";
import { hostPlatform } from "../../model/image/host-platform.ts";
import { openImage, openImageSource } from "../../model/image/open-image.ts";
import { chooseCandidate } from "../../model/image/source.ts";
import { checkCommandLine, type OsProblem } from "../../model/os/index.ts";
import { type CertificateRules, requireKeyType, requireValidity } from "../../model/signing/certificate-rules.ts";
import {
  type BroughtSignature,
  completePe,
  findSigned,
  keepSignature,
  loadBroughtSignature,
  loadSigningRequest,
  signatureOf,
  storeSigningRequest,
} from "../../model/signing-request/index.ts";
import { openPcrKey } from "../uki/pcr-keys.ts";
import { parseDigestFormats } from "./digest-formats.ts";
import { requirePolicySignature, type SignedPolicy, spkiOf, withSignatures } from "./pcr-policies.ts";
import {
  isSignedFor,
  openSealInput,
  type PlanOptions,
  planSeal,
  type SealPcr,
  signingTimes,
  unsignedLoader,
} from "./plan.ts";
import { itemName, type MadeRequest, makeImageRequest, makeLoaderRequest, type RequestParts } from "./request.ts";

export interface PrepareOptions extends Omit<PlanOptions, "pcr">, CertificateRules {
  /** Where the request goes. */
  readonly directory: string;
  /** Reference that the sealed image is to have. */
  readonly to?: string | undefined;
  /** Of the key that will sign, PEM or DER. */
  readonly certificatePath: string | undefined;
  /** Public key of the PCR policies, PEM. */
  readonly pcrPublicKeyPath?: string | undefined;
  /** Replace a request that is there, and forget what was signed for it. */
  readonly overwrite?: boolean;
  readonly created: Date;
  /** Program and version, for people. */
  readonly tool: string;
}

/** Where the signature of the boot loader comes from. */
export type LoaderSignature = "to be signed" | "in the image" | "earlier round" | "cache";

export interface PrepareReport {
  readonly directory: string;
  readonly request: SigningRequest;
  readonly loaderSignature: LoaderSignature;
  readonly warnings: readonly OsProblem[];
}

/**
 * Writes a signing request: of the UKI and the addons where the boot loader has a signature already, of the boot loader
 * alone where it has none; of the PCR policies in between, where there is a key for them.
 *
 * The boot loader is a file of the sealed tree, so its signature is part of the digest, which is on the command line
 * in the UKI: who signs cannot sign both at once without reading the image. A signature of the boot loader that was
 * made once is kept in the cache, and one round is enough until systemd-boot or the certificate changes.
 *
 * @throws {UsageError} `signer.certificate-missing`, `seal.prepare-index`, `seal.addon.twice`
 * @throws {InputOutputError} `output.exists` when there is a request that is not an earlier, signed round of this one
 * @throws {VerificationError} `signing-request.signature-…` when an earlier round's signature is not one
 * @throws as `sealImage`
 */
export async function prepareSeal(reference: string, options: PrepareOptions): Promise<PrepareReport> {
  const { cacheDirectory, directory, platform, progress = silent, registries, signal } = options;
  parseDigestFormats(options.digestFormats);
  const certificate = await loadSigningCertificate(options);
  const pcr = await loadPcrKey(options);
  await requireOneImage(reference, options);
  const earlier = options.overwrite === true ? undefined : await findEarlierRound(directory, certificate);
  const image = await openImage(reference, { registries, ...(platform && { platform }), ...(signal && { signal }) });
  await using input = await openSealInput(image, options);
  const origin = { source: reference, target: options.to, created: options.created, tool: options.tool };
  const parts: RequestParts = { input, options: { ...options, pcr }, certificate, origin };
  const store = async ({ files, request }: MadeRequest, taken: boolean) => {
    progress({ step: "seal.request", text: `writing ${directory}` });
    await storeSigningRequest(directory, request, files, { overwrite: taken || options.overwrite === true, signal });
    return request;
  };

  const { bytes: plain } = unsignedLoader(input.parts);
  const [loader, loaderSignature] = isSignedFor(plain, certificate)
    ? ([plain, "in the image"] as const)
    : await findSignedLoader(parts, directory, earlier);
  if (loader === undefined) {
    const request = await store(makeLoaderRequest(parts), false);
    return { directory, request, loaderSignature, warnings: input.parts.warnings };
  }
  const brought = loaderSignature === "in the image" ? undefined : signatureOf(loader, certificate);
  if (cacheDirectory !== undefined && brought !== undefined) {
    await keepSignature(cacheDirectory, plain, certificate, brought);
  }
  const signedPolicies = pcr && earlier && (await loadPolicySignatures(directory, earlier, pcr));
  const key = pcr && signedPolicies ? withSignatures(pcr, signedPolicies) : pcr;
  const plan = await planSeal(input, loader, { ...options, pcr: key });
  const made = makeImageRequest(parts, plan, { loader: brought, pcr: signedPolicies });
  const taken = earlier?.round === "boot-loader" ? loaderSignature === "earlier round" : signedPolicies !== undefined;
  const request = await store(made, taken);
  const warnings = [
    ...input.parts.warnings,
    ...checkCommandLine(plan.commandLine),
    ...input.addons.flatMap(({ problems }) => problems),
  ];
  return { directory, request, loaderSignature, warnings };
}

/** Of an index, a seal in one takes every image; a request is for one, which has to be said. */
async function requireOneImage(reference: string, { platform, registries, signal }: PrepareOptions): Promise<void> {
  if (platform !== undefined) return;
  await using source = await openImageSource(reference, { registries, ...(signal && { signal }) });
  const { mediaType } = await chooseCandidate(source, { platform: hostPlatform(), platformRequired: false });
  if (!isIndexMediaType(mediaType)) return;
  throw new UsageError("seal.prepare-index", `${quote(reference)} is an index, and a request is for one image`, {
    hint: "name the platform with --platform OS/ARCH",
  });
}

/** A certificate is a few KiB. */
const MAX_CERTIFICATE_SIZE = 64 << 10;

async function loadSigningCertificate(options: PrepareOptions): Promise<Certificate> {
  const { certificatePath } = options;
  if (certificatePath === undefined) {
    throw new UsageError("signer.certificate-missing", "no certificate: whose signature is to be asked for?", {
      hint: "name the certificate of the key that will sign with --cert FILE",
    });
  }
  const what = `certificate ${quote(certificatePath)}`;
  const bytes = await loadFile(certificatePath, what, MAX_CERTIFICATE_SIZE, "signer.file-too-large");
  const certificate = parseCertificate(bytes, what);
  requireValidity(certificate, options);
  requireKeyType(certificate.publicKey.facts, options);
  return certificate;
}

async function loadPcrKey({ now, pcrPublicKeyPath }: PrepareOptions): Promise<SealPcr | undefined> {
  return pcrPublicKeyPath === undefined ? undefined : await openPcrKey({ publicKeyPath: pcrPublicKeyPath, now });
}

/** The request of a round before the last that this directory holds, for this certificate. */
async function findEarlierRound(directory: string, certificate: Certificate): Promise<SigningRequest | undefined> {
  if (!(await exists(directory))) return undefined;
  try {
    const request = await loadSigningRequest(directory);
    const sameKey = request.certificate.fingerprint === Buffer.from(certificate.fingerprint).toString("hex");
    return request.round !== "image" && sameKey ? request : undefined;
  } catch (error) {
    if (error instanceof NotFoundError) return undefined;
    throw error;
  }
}

async function findSignedLoader(
  { certificate, input, options }: RequestParts,
  directory: string,
  earlier: SigningRequest | undefined,
): Promise<readonly [Uint8Array | undefined, LoaderSignature]> {
  const unsigned = unsignedLoader(input.parts);
  const brought = earlier && (await findLoaderSignature(directory, earlier, itemName(unsigned)));
  if (brought !== undefined) {
    const { message } = prepareSignature(unsigned.bytes, signingTimes(certificate, options)["boot-loader"]);
    return [completePe(unsigned.bytes, certificate, message, brought), "earlier round"];
  }
  const { cacheDirectory } = options;
  const cached = cacheDirectory && (await findSigned(cacheDirectory, unsigned.bytes, certificate));
  return cached ? [cached, "cache"] : [undefined, "to be signed"];
}

/** Of the first round among the signatures, of the second in the request itself. */
async function findLoaderSignature(
  directory: string,
  { round, sealed }: SigningRequest,
  name: string,
): Promise<BroughtSignature | undefined> {
  if (round === "boot-loader") return await loadBroughtSignature(directory, name);
  const { signature } = sealed.bootLoader;
  if (signature === undefined) return undefined;
  return { kind: "pkcs7", file: "sealed.bootLoader.signature", bytes: Buffer.from(signature, "base64") };
}

/** The signatures of a round of PCR policies for this key; nothing while one is missing. */
async function loadPolicySignatures(
  directory: string,
  { items, round }: SigningRequest,
  pcr: SealPcr,
): Promise<SignedPolicy[] | undefined> {
  if (round !== "pcr-policies") return undefined;
  const key = parsePublicKey(spkiOf(pcr));
  const policies: SignedPolicy[] = [];
  for (const { name, toBeSigned } of items) {
    const brought = await loadBroughtSignature(directory, name);
    if (brought === undefined) return undefined;
    const signed = Buffer.from(toBeSigned, "base64");
    requirePolicySignature(key, signed, brought.bytes, brought.file);
    policies.push({ signed, signature: brought.bytes });
  }
  return policies;
}
