/** Passphrases and PINs: from a file, from the environment, or asked for. */
import { UsageError } from "../../lib/errors.ts";
import { loadSecretLine } from "./secret-file.ts";
import type { KeyContext } from "./signing-key.ts";

export interface SecretQuestion {
  readonly kind: "passphrase" | "PIN";
  /** What it opens: `private key "db.key"`, `token "prod"`. */
  readonly opens: string;
}

/** Asks whoever sits there; nothing when nobody does. */
export type AskSecret = (question: SecretQuestion) => Promise<string | undefined>;

export interface SecretOptions {
  /** File whose first line is the passphrase of an encrypted key. */
  readonly passphrasePath?: string | undefined;
  readonly askSecret?: AskSecret | undefined;
}

/** Environment variables that hold secrets. No program that we start gets them. */
export const SECRET_VARIABLES = { passphrase: "SEALWRIGHT_PASSPHRASE", PIN: "SEALWRIGHT_PIN" } as const;

const HINTS = {
  passphrase: `give it with --passphrase-file FILE or in ${SECRET_VARIABLES.passphrase}`,
  PIN: `give it with pin-source=file:PATH in the URI or in ${SECRET_VARIABLES.PIN}`,
} as const;

const MISSING = { passphrase: "signer.passphrase-needed", PIN: "signer.pin-needed" } as const;

/**
 * Finds a secret: in the file named for it, in the environment, or by asking.
 *
 * @param path file that has precedence; its first line is the secret
 * @throws {UsageError} `signer.passphrase-needed`, `signer.pin-needed`
 * @throws as `loadSecretLine`
 */
export async function requireSecret(
  question: SecretQuestion,
  path: string | undefined,
  { allowLooseKeyPermissions, askSecret, env = {} }: KeyContext,
): Promise<string> {
  const { kind, opens } = question;
  if (path !== undefined) return await loadSecretLine(path, `${kind} file`, { allowLooseKeyPermissions });
  const secret = env[SECRET_VARIABLES[kind]] ?? (await askSecret?.(question));
  if (secret !== undefined) return secret;
  throw new UsageError(MISSING[kind], `${opens}: a ${kind} is needed, and none was given`, { hint: HINTS[kind] });
}
