import {
  type Certificate,
  type PublicKey,
  parseCertificate,
  parsePem,
  parsePublicKey,
} from "../../formats/x509/index.ts";
import { FormatError } from "../../lib/errors.ts";
import { loadFile } from "../host-io/files.ts";

/** A key whose signatures count, by the name it is shown with. */
export interface VerificationKey {
  readonly name: string;
  readonly publicKey: PublicKey;
}

/** Safety limit for files with keys. */
const MAX_KEY_FILE_SIZE = 1 << 20;

/** The keys of certificates. */
export const keysOf = (certificates: readonly Certificate[]): VerificationKey[] =>
  certificates.map(({ publicKey, subject }) => ({ name: subject, publicKey }));

/**
 * Reads public keys and certificates, PEM; `cosign.pub` is one.
 *
 * @throws {FormatError} `verify.key-unreadable`, `pem.…`, `der.…`, `x509.…`
 * @throws {NotFoundError} `input.not-found`
 */
export async function loadVerificationKeys(paths: readonly string[]): Promise<VerificationKey[]> {
  const keys: VerificationKey[] = [];
  for (const path of paths) {
    const what = `public key ${path}`;
    const blocks = parsePem(await loadFile(path, what, MAX_KEY_FILE_SIZE, "verify.key-unreadable"), what);
    const found = blocks.flatMap(({ bytes, label }) => {
      if (label === "CERTIFICATE") return keysOf([parseCertificate(bytes, what)]);
      return label === "PUBLIC KEY" ? [{ name: path, publicKey: parsePublicKey(bytes) }] : [];
    });
    if (found.length === 0) {
      const expected = "a public key or a certificate in PEM";
      throw new FormatError("verify.key-unreadable", { what, expected, found: "neither" });
    }
    keys.push(...found);
  }
  return keys;
}
