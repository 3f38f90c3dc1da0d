import { UsageError } from "../../lib/errors.ts";
import {
  type NamedKey,
  openSigners as openAll,
  type Signer,
  type SignerOptions,
  type Signers,
} from "../../model/signing/index.ts";
import { requestTimestamp } from "../../model/signing/timestamp.ts";

export interface SigningOptions extends Omit<SignerOptions, "certificatePath"> {
  /** Each makes one signature, in this order. */
  readonly keys: readonly NamedKey[];
  /** Default: the start of the certificate's validity, so that the same input gives the same bytes. */
  readonly buildTime?: Date | undefined;
  /** Authority that stamps each signature (RFC 3161). The output then differs from run to run. */
  readonly timestampUrl?: string | undefined;
  readonly randomBytes: (size: number) => Uint8Array;
}

/** @throws {UsageError} `signer.missing`; as `openSigner` */
export async function openSigners({ keys, ...options }: SigningOptions): Promise<Signers> {
  if (keys.length > 0) return await openAll(keys, options);
  throw new UsageError("signer.missing", "no key to sign with: expected --key, with --cert unless a token has it");
}

/** What `signPe` needs besides the signer. */
export function signOptions({ certificate }: Signer, options: SigningOptions) {
  const { buildTime, env, randomBytes, signal, timestampUrl } = options;
  return {
    signingTime: buildTime ?? certificate.notBefore,
    timestamp:
      timestampUrl === undefined
        ? undefined
        : (signature: Uint8Array) => requestTimestamp(timestampUrl, signature, { env, signal, randomBytes }),
  };
}
