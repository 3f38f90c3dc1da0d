import { randomBytes } from "node:crypto";
import { UsageError } from "../../lib/errors.ts";
import {
  type NamedKey,
  openEphemeralSigner,
  openSigners,
  type Signer,
  type SignerOptions,
} from "../../model/signing/index.ts";

export interface SealSignerOptions extends SignerOptions {
  /** A file, or a key elsewhere in the notation of `openSigner`. */
  readonly key?: string | undefined;
  /** Keys that sign beside it, each with its certificate: firmware needs one that it knows. */
  readonly keysBeside?: readonly NamedKey[];
  /** Make a key for this one seal and forget it. */
  readonly ephemeralKeys?: boolean;
}

export interface SealSigner extends Signer {
  /** Those that sign everything once more, while keys change. Closed together with it. */
  readonly beside: readonly Signer[];
}

/** An ephemeral certificate outlives the pull request it was made for, not more. */
const EPHEMERAL_DAYS = 30;

/** @throws {UsageError} `signer.missing`, `signer.ambiguous`; whatever `openSigner` throws */
export async function openSealSigner(options: SealSignerOptions): Promise<SealSigner> {
  const { key, keysBeside = [], certificatePath, ephemeralKeys = false, now } = options;
  const given = key !== undefined || certificatePath !== undefined;
  if (ephemeralKeys && given) {
    throw new UsageError("signer.ambiguous", "both a key and --ephemeral-keys: one of them signs");
  }
  if (ephemeralKeys) return withSigners(await openThrowawaySigner(now), []);
  if (key === undefined) {
    throw new UsageError("signer.missing", "no key to sign with: expected --key with --cert, or --ephemeral-keys", {
      hint: "make keys with: sealwright keys generate DIR",
    });
  }
  const { all } = await openSigners([{ key, certificatePath }, ...keysBeside], options);
  const [signer, ...beside] = all as [Signer, ...Signer[]];
  return withSigners(signer, beside);
}

function withSigners(signer: Signer, beside: readonly Signer[]): SealSigner {
  return {
    certificate: signer.certificate,
    beside,
    sign: (message) => signer.sign(message),
    async [Symbol.asyncDispose]() {
      for (const each of [signer, ...beside]) await each[Symbol.asyncDispose]();
    },
  };
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
