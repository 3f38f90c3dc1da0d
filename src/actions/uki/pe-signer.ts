import { signPe } from "../../formats/authenticode/index.ts";
import { UsageError } from "../../lib/errors.ts";
import { openFileSigner } from "../../model/signing/file-signer.ts";

export interface PeSignerOptions {
  readonly keyPath: string | undefined;
  readonly certificatePath: string | undefined;
  /** Default: the start of the certificate's validity. */
  readonly buildTime: Date | undefined;
  readonly now: Date;
}

export interface PeSigner extends AsyncDisposable {
  readonly subject: string;
  readonly sign: (pe: Uint8Array) => Promise<Uint8Array>;
}

/** A signer of whole PE files, or nothing when no key is named. */
export async function openPeSigner(options: PeSignerOptions): Promise<PeSigner | undefined> {
  const { buildTime, certificatePath, keyPath, now } = options;
  if (keyPath === undefined && certificatePath === undefined) return undefined;
  if (keyPath === undefined || certificatePath === undefined) {
    throw new UsageError("signer.missing", "a key and its certificate sign together: expected both --key and --cert");
  }
  const signer = await openFileSigner({ keyPath, certificatePath, now });
  const signingTime = buildTime ?? signer.certificate.notBefore;
  return {
    subject: signer.certificate.subject,
    sign: (pe) => signPe(pe, signer, { signingTime }),
    [Symbol.asyncDispose]: () => signer[Symbol.asyncDispose](),
  };
}
