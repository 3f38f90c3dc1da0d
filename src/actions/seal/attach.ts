/** The second half of a seal whose key is elsewhere: signatures in, sealed image out. */

import { prepareSignature } from "../../formats/authenticode/index.ts";
import { PCR_ROLE, type SigningRequest } from "../../formats/signing-request/index.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { NotFoundError, quote, UnsupportedError, UsageError, VerificationError } from "../../lib/errors.ts";
import { type ImageWriter, type NewManifest, openImageWriter } from "../../model/image/image-writer.ts";
import { loadCertificates } from "../../model/signing/index.ts";
import {
  completePe,
  loadBroughtSignature,
  loadRequestFile,
  loadSigningRequest,
} from "../../model/signing-request/index.ts";
import { signingTimes } from "./plan.ts";
import { type RemadeSeal, type RemakeOptions, remakeSeal } from "./remake.ts";
import type { SealReport } from "./report.ts";
import { writeSigned } from "./write.ts";

export interface AttachOptions extends RemakeOptions {
  /** As for a seal. Default: what the request names. */
  readonly to?: string | undefined;
  /** The certificate that is expected in the request: nobody has put theirs in its place. */
  readonly certificatePath?: string | undefined;
  /** Replace an archive that is there already. */
  readonly overwrite?: boolean;
  /** Called when the sealed image is written and before it is shown. */
  readonly beforeShown?:
    | ((sealed: { readonly manifest: NewManifest; readonly writer: ImageWriter }) => Promise<void>)
    | undefined;
}

/**
 * Makes the sealed image out of a request and its signatures: byte for byte the one that `sealImage` makes with the
 * same key, image and options, where the signatures are over `toBeSigned`.
 *
 * Nothing is taken from the request's PE files: the UKI is built again from the image.
 *
 * @throws {UsageError} `seal.target-missing`, `signing-request.first-round`
 * @throws {NotFoundError} `signing-request.signature-missing`
 * @throws {VerificationError} `signing-request.certificate-swapped`, `signing-request.file-differs`,
 *   `signing-request.signature-…`; as `remakeSeal`
 */
export async function attachSeal(directory: string, options: AttachOptions): Promise<SealReport> {
  const { overwrite = false, registries, signal } = options;
  const request = await loadSigningRequest(directory);
  requireLastRound(request, directory);
  await requireExpectedCertificate(request, options.certificatePath);
  const to = options.to ?? request.image.target;
  if (to === undefined) {
    throw new UsageError("seal.target-missing", "no name for the sealed image: expected --to IMAGE");
  }
  await requireUntouchedFiles(directory, request);
  await requireSignatures(directory, request);

  await using writer = await openImageWriter(to, { overwrite, registries, ...(signal && { signal }) });
  await using remade = await remakeSeal(directory, request, options);
  const { certificate, input, loaderSignedBefore, plan } = remade;
  if (plan === undefined) throw new TypeError("a request of the last round has a plan");
  const signed = await complete(directory, request, remade);
  const { manifest, report } = await writeSigned(
    input,
    { plan, signed, certificate, ephemeral: false, loaderSignedBefore },
    writer,
    to,
    remade.options,
  );
  await options.beforeShown?.({ manifest, writer });
  await writer.commit(manifest);
  return report;
}

/** What each earlier round is for. */
const FIRST = { "boot-loader": "the boot loader", "pcr-policies": "the PCR policies" } as const;

function requireLastRound({ round }: SigningRequest, directory: string): void {
  if (round === "image") return;
  throw new UsageError(
    "signing-request.first-round",
    `${quote(directory)}: this request is for ${FIRST[round]} alone, and the rest depends on these signatures`,
    { hint: "when it is signed, run the same sealwright seal --prepare again: it then asks for the UKI" },
  );
}

async function requireExpectedCertificate({ certificate }: SigningRequest, path: string | undefined): Promise<void> {
  if (path === undefined) return;
  const expected = (await loadCertificates([path])).map(({ fingerprint }) => toHex(fingerprint));
  if (expected.includes(certificate.fingerprint)) return;
  throw new VerificationError(
    "signing-request.certificate-swapped",
    `the request names the certificate of "${certificate.subject}" (${certificate.fingerprint}), expected that in ${quote(path)}`,
    { data: { found: certificate.fingerprint, expected } },
  );
}

/** What is built again decides; this finds out what somebody may have signed by mistake. */
async function requireUntouchedFiles(directory: string, { items }: SigningRequest): Promise<void> {
  for (const item of items) if ("file" in item) await loadRequestFile(directory, item);
}

/** Before the image is read: that takes a while. */
async function requireSignatures(directory: string, { items }: SigningRequest): Promise<void> {
  const missing: string[] = [];
  for (const { name } of items) {
    if ((await loadBroughtSignature(directory, name)) === undefined) missing.push(name);
  }
  if (missing.length === 0) return;
  throw new NotFoundError(
    "signing-request.signature-missing",
    `${quote(directory)}: no signature yet for ${missing.map(quote).join(", ")}`,
    { data: { missing }, hint: `sign it with: sealwright sign-request ${directory} --key KEY` },
  );
}

/** Every file of the plan with its signature, by path. */
async function complete(
  directory: string,
  { items }: SigningRequest,
  { certificate, made, options, plan }: RemadeSeal,
): Promise<Map<string, Uint8Array>> {
  const times = signingTimes(certificate, options);
  const signed = new Map(plan?.unsigned.map(({ bytes, path }) => [path, bytes]));
  for (const { name, role } of items) {
    const pe = made.unsigned.get(name);
    if (role === PCR_ROLE || pe === undefined) {
      throw new UnsupportedError("signing-request.role", `${quote(name)}: this Sealwright seals no ${role} in`);
    }
    const brought = await loadBroughtSignature(directory, name);
    if (brought === undefined) throw new TypeError("signatures were looked for before");
    const { message } = prepareSignature(pe.bytes, times[pe.role]);
    signed.set(pe.path, completePe(pe.bytes, certificate, message, brought));
  }
  return signed;
}
