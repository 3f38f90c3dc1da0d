import { quote } from "../../lib/errors.ts";
import { PrivateKey } from "./private-key.ts";
import { loadSecretFile } from "./secret-file.ts";
import { requireSecret } from "./secrets.ts";
import type { KeyContext, SigningKey } from "./signing-key.ts";

/**
 * Opens a key in a PEM file: PKCS#8, PKCS#1 or SEC1, encrypted or not.
 *
 * @throws {PolicyError} `signer.key-permissions`
 * @throws {UsageError} `signer.passphrase-needed`, `signer.passphrase-wrong`
 * @throws {FormatError} `signer.key-unreadable`, `signer.file-too-large`
 * @throws {NotFoundError} `input.not-found`
 */
export async function openFileKey(path: string, context: KeyContext): Promise<SigningKey> {
  const name = `private key ${quote(path)}`;
  const pem = await loadSecretFile(path, "private key", context);
  const passphrase = (): Promise<string> =>
    requireSecret({ kind: "passphrase", opens: name }, context.passphrasePath, context);
  return toSigningKey(await PrivateKey.parse(pem, path, passphrase), name);
}

/** A key in memory. */
export function toSigningKey(key: PrivateKey, name: string): SigningKey {
  return {
    name,
    publicKey: async () => key.publicKey,
    sign: (message) => key.sign(message),
    [Symbol.asyncDispose]: async () => {},
  };
}
