import { randomBytes } from "node:crypto";
import { UsageError } from "../../lib/errors.ts";
import { openEphemeralSigner } from "../../model/signing/ephemeral-signer.ts";
import { openFileSigner } from "../../model/signing/file-signer.ts";
import type { Signer } from "../../model/signing/signer.ts";

export interface SealSignerOptions {
  readonly keyPath?: string | undefined;
  readonly certificatePath?: string | undefined;
  /** Make a key for this one seal and forget it. */
  readonly ephemeralKeys?: boolean;
  readonly allowExpiredCertificate?: boolean;
  readonly allowLooseKeyPermissions?: boolean;
  readonly now: Date;
}

/** An ephemeral certificate outlives the pull request it was made for, not more. */
const EPHEMERAL_DAYS = 30;

/** @throws {UsageError} `signer.missing`, `signer.ambiguous`; whatever `openFileSigner` throws */
export async function openSealSigner(options: SealSignerOptions): Promise<Signer> {
  const { keyPath, certificatePath, ephemeralKeys = false, now } = options;
  const given = keyPath !== undefined || certificatePath !== undefined;
  if (ephemeralKeys && given) {
    throw new UsageError("signer.ambiguous", "both a key and --ephemeral-keys: one of them signs");
  }
  if (ephemeralKeys) return await openThrowawaySigner(now);
  if (keyPath === undefined || certificatePath === undefined) {
    throw new UsageError("signer.missing", "no key to sign with: expected --key with --cert, or --ephemeral-keys", {
      hint: "make keys with: sealwright keys generate DIR",
    });
  }
  return await openFileSigner({ ...options, keyPath, certificatePath });
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
