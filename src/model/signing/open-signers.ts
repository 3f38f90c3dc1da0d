import { openSigner, type SignerOptions } from "./open-signer.ts";
import type { Signer } from "./signer.ts";

/** A key and what goes with it, as the command line names them. */
export interface NamedKey {
  /** In the notation of `openSigner`. */
  readonly key: string;
  readonly certificatePath?: string | undefined;
}

/** Signers that are closed together. */
export interface Signers extends AsyncDisposable {
  readonly all: readonly Signer[];
}

/**
 * Opens all of several signers, or none: what one cannot sign is not half signed.
 *
 * @throws as `openSigner`
 */
export async function openSigners(
  keys: readonly NamedKey[],
  options: Omit<SignerOptions, "certificatePath">,
): Promise<Signers> {
  await using opened = new AsyncDisposableStack();
  const all: Signer[] = [];
  // One after the other: each may ask for a passphrase or a PIN.
  for (const { key, certificatePath } of keys) {
    all.push(opened.use(await openSigner(key, { ...options, certificatePath })));
  }
  const kept = opened.move();
  return { all, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}
