/** Flags of every command that signs, and what they open. */
import { homedir } from "node:os";
import { UsageError } from "../lib/errors.ts";
import type { SignerOptions } from "../model/signing/index.ts";
import { askOnTerminal } from "./ask-secret.ts";
import type { Context } from "./context.ts";
import { listFlag, switchFlag, textFlag } from "./flags.ts";

export interface SignerFlags {
  readonly key?: string;
  readonly cert?: string;
  readonly passphraseFile?: string;
  readonly allowExpiredCert: boolean;
  readonly allowLooseKeyPermissions: boolean;
  readonly allowEcKey: boolean;
}

/** Flags of signing beside the key and the certificate themselves. */
export const signerRuleFlags = {
  passphraseFile: textFlag("FILE", "Passphrase of an encrypted key (or: SEALWRIGHT_PASSPHRASE, or the terminal)"),
  allowExpiredCert: switchFlag("Sign although the certificate is out of its validity"),
  allowLooseKeyPermissions: switchFlag("Use files with keys and secrets that others can read"),
  allowEcKey: switchFlag("Sign with an elliptic curve key, which much firmware refuses"),
} as const;

export const KEY_BRIEF = "PEM file, pkcs11:, awskms:, gcpkms:, azurekv:, vault: or exec:PROGRAM";

export const signerFlags = {
  key: textFlag("KEY", `Private key of the Secure Boot db: ${KEY_BRIEF}`),
  cert: textFlag("FILE", "Certificate of that key, PEM or DER (default: the one in the token)"),
  ...signerRuleFlags,
} as const;

/** Of commands that sign once with each of several keys. */
export interface SignersFlags extends SignerRuleFlags {
  readonly key?: readonly string[];
  readonly cert?: readonly string[];
}

export const signersFlags = {
  key: listFlag("KEY", `Private key: ${KEY_BRIEF}; repeatable, each signs once`),
  cert: listFlag("FILE", "Certificate of that key, PEM or DER (default: the one in the token); one for each --key"),
  ...signerRuleFlags,
} as const;

export type SignerRuleFlags = Omit<SignerFlags, "key" | "cert">;

/** What the flags and the surroundings say about signing; the reference of the key itself comes on top. */
export function signerOptions(context: Context, flags: SignerRuleFlags & Pick<SignerFlags, "cert">) {
  return { ...signerRules(context, flags), certificatePath: flags.cert } satisfies SignerOptions;
}

/** The same without a certificate, for commands that take several. */
export function signerRules(context: Context, flags: SignerRuleFlags) {
  return {
    passphrasePath: flags.passphraseFile,
    allowExpiredCertificate: flags.allowExpiredCert,
    allowLooseKeyPermissions: flags.allowLooseKeyPermissions,
    allowEllipticCurve: flags.allowEcKey,
    env: context.env,
    home: homedir(),
    askSecret: askOnTerminal(() => context.endProgress(), context.signal),
    warn: (message: string) => {
      context.endProgress();
      context.process.stderr.write(`warning: ${message}\n`);
    },
    signal: context.signal,
    now: new Date(),
  } satisfies SignerOptions;
}

/**
 * Repeated `--key` and `--cert`, in pairs.
 *
 * @throws {UsageError} `signer.pairs` unless every key has a certificate, or none has
 */
export function pairKeys(keys: readonly string[] = [], certificates: readonly string[] = []) {
  if (certificates.length !== 0 && certificates.length !== keys.length) {
    throw new UsageError("signer.pairs", `${keys.length} --key and ${certificates.length} --cert: expected as many`, {
      hint: "the first --cert belongs to the first --key; leave all out when the tokens have the certificates",
    });
  }
  return keys.map((key, index) => ({ key, certificatePath: certificates[index] }));
}
