import { signPe } from "../../formats/authenticode/index.ts";
import { UsageError } from "../../lib/errors.ts";
import { openSigner, type SignerOptions } from "../../model/signing/index.ts";

export interface PeSignerOptions extends SignerOptions {
  /** A file, or a key elsewhere in the notation of `openSigner`. */
  readonly key: string | undefined;
  /** Default: the start of the certificate's validity. */
  readonly buildTime: Date | undefined;
}

export interface PeSigner extends AsyncDisposable {
  readonly subject: string;
  readonly sign: (pe: Uint8Array) => Promise<Uint8Array>;
}

/** A signer of whole PE files, or nothing when no key is named. */
export async function openPeSigner(options: PeSignerOptions): Promise<PeSigner | undefined> {
  const { buildTime, certificatePath, key } = options;
  if (key === undefined && certificatePath === undefined) return undefined;
  if (key === undefined) {
    throw new UsageError("signer.missing", "a certificate does not sign: expected --key with --cert");
  }
  const signer = await openSigner(key, options);
  const signingTime = buildTime ?? signer.certificate.notBefore;
  return {
    subject: signer.certificate.subject,
    sign: (pe) => signPe(pe, signer, { signingTime }),
    [Symbol.asyncDispose]: () => signer[Symbol.asyncDispose](),
  };
}
