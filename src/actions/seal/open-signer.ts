import { randomBytes } from "node:crypto";
import { UsageError } from "../../lib/errors.ts";
import { openEphemeralSigner, openSigner, type Signer, type SignerOptions } from "../../model/signing/index.ts";

export interface SealSignerOptions extends SignerOptions {
  /** A file, or a key elsewhere in the notation of `openSigner`. */
  readonly key?: string | undefined;
  /** Make a key for this one seal and forget it. */
  readonly ephemeralKeys?: boolean;
}

/** An ephemeral certificate outlives the pull request it was made for, not more. */
const EPHEMERAL_DAYS = 30;

/** @throws {UsageError} `signer.missing`, `signer.ambiguous`; whatever `openSigner` throws */
export async function openSealSigner(options: SealSignerOptions): Promise<Signer> {
  const { key, certificatePath, ephemeralKeys = false, now } = options;
  const given = key !== undefined || certificatePath !== undefined;
  if (ephemeralKeys && given) {
    throw new UsageError("signer.ambiguous", "both a key and --ephemeral-keys: one of them signs");
  }
  if (ephemeralKeys) return await openThrowawaySigner(now);
  if (key === undefined) {
    throw new UsageError("signer.missing", "no key to sign with: expected --key with --cert, or --ephemeral-keys", {
      hint: "make keys with: sealwright keys generate DIR",
    });
  }
  return await openSigner(key, options);
}

async function openThrowawaySigner(now: Date): Promise<Signer> {
  const notBefore = new Date(Math.floor(now.getTime() / 1000) * 1000);
  return await openEphemeralSigner({
    subject: { commonName: "Sealwright ephemeral db" },
    serial: BigInt(`0x01${randomBytes(15).toString("hex")}`),
    notBefore,
    notAfter: new Date(notBefore.getTime() + EPHEMERAL_DAYS * 24 * 60 * 60 * 1000),
    use: "signature",
  });
}
