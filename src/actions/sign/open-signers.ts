import { UsageError } from "../../lib/errors.ts";
import { openSigner, type Signer, type SignerOptions } from "../../model/signing/index.ts";
import { requestTimestamp } from "../../model/signing/timestamp.ts";

/** A key and what goes with it, as the command line names them. */
export interface NamedKey {
  /** A file, or a key elsewhere in the notation of `openSigner`. */
  readonly key: string;
  readonly certificatePath?: string | undefined;
}

export interface SigningOptions extends Omit<SignerOptions, "certificatePath"> {
  /** Each makes one signature, in this order. */
  readonly keys: readonly NamedKey[];
  /** Default: the start of the certificate's validity, so that the same input gives the same bytes. */
  readonly buildTime?: Date | undefined;
  /** Authority that stamps each signature (RFC 3161). The output then differs from run to run. */
  readonly timestampUrl?: string | undefined;
  readonly randomBytes: (size: number) => Uint8Array;
}

export interface Signers extends AsyncDisposable {
  readonly all: readonly Signer[];
}

/**
 * Opens all signers before anything is signed: one that is missing leaves nothing half done.
 *
 * @throws {UsageError} `signer.missing`; as `openSigner`
 */
export async function openSigners({ keys, ...options }: SigningOptions): Promise<Signers> {
  if (keys.length === 0) {
    throw new UsageError("signer.missing", "no key to sign with: expected --key, with --cert unless a token has it");
  }
  await using opened = new AsyncDisposableStack();
  const all: Signer[] = [];
  // One after the other: each may ask for a passphrase or a PIN.
  for (const { key, certificatePath } of keys) {
    all.push(opened.use(await openSigner(key, { ...options, certificatePath })));
  }
  const kept = opened.move();
  return { all, [Symbol.asyncDispose]: () => kept.disposeAsync() };
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
