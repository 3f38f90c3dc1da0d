/** Makes the certificate of a key that is not in a file: tokens and services make keys, and no certificates. */
import { createPublicKey } from "node:crypto";
import { type Certificate, encodePem, showKey } from "../../formats/x509/index.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { FormatError, quote } from "../../lib/errors.ts";
import { loadFile, storeFile } from "../../model/host-io/files.ts";
import { requireKeyType } from "../../model/signing/certificate-rules.ts";
import { type KeyContext, openPolicyKey } from "../../model/signing/index.ts";
import { wholeSeconds } from "./generate-keys.ts";
import { type CertificateOptions, makeCertificate } from "./key-pair.ts";

export interface CertifyOptions extends KeyContext, Pick<CertificateOptions, "commonName" | "organization" | "years"> {
  /** In the notation of `openSigner`. */
  readonly key: string;
  /** PEM; needed for keys that do not tell it. */
  readonly publicKeyPath?: string | undefined;
  readonly allowEllipticCurve?: boolean;
  readonly output: string;
  readonly overwrite?: boolean;
  readonly randomBytes: (size: number) => Uint8Array;
}

export interface CertifyReport {
  readonly output: string;
  readonly subject: string;
  readonly key: string;
  readonly notBefore: string;
  readonly notAfter: string;
  /** SHA-256, lower-case hex. */
  readonly fingerprint: string;
}

/** Safety limit: an RSA-8192 public key is 2 KiB of PEM. */
const MAX_PUBLIC_KEY_SIZE = 64 * 1024;

/**
 * Writes a self-signed certificate for a key, PEM.
 *
 * @throws {UsageError} `keys.years`, `keys.name`, `signer.public-key-unknown`; as `openPolicyKey`
 * @throws {PolicyError} `signer.key-too-weak`, `signer.key-type`
 * @throws {FormatError} `keys.public-key`
 */
export async function certifyKey(options: CertifyOptions): Promise<CertifyReport> {
  const { allowEllipticCurve = false, output, overwrite = false, publicKeyPath } = options;
  const publicKey = publicKeyPath === undefined ? undefined : await loadPublicKey(publicKeyPath);
  await using key = await openPolicyKey(options.key, { ...options, publicKey });
  requireKeyType(key.publicKey.facts, { now: options.now, allowEllipticCurve });
  const now = wholeSeconds(options.now);
  const sign = (message: Uint8Array): Promise<Uint8Array> => key.sign(message);
  const certificate = await makeCertificate(key.publicKey.spki, sign, { ...options, now });
  await storeFile(output, Buffer.from(encodePem("CERTIFICATE", certificate.der)), { overwrite });
  return reportOf(output, certificate);
}

function reportOf(
  output: string,
  { fingerprint, notAfter, notBefore, publicKey, subject }: Certificate,
): CertifyReport {
  return {
    output,
    subject,
    key: showKey(publicKey.facts),
    notBefore: notBefore.toISOString(),
    notAfter: notAfter.toISOString(),
    fingerprint: toHex(fingerprint),
  };
}

async function loadPublicKey(path: string): Promise<Uint8Array> {
  const what = `public key ${quote(path)}`;
  const pem = await loadFile(path, what, MAX_PUBLIC_KEY_SIZE, "signer.file-too-large");
  try {
    return createPublicKey(Buffer.from(pem)).export({ format: "der", type: "spki" });
  } catch {
    throw new FormatError("keys.public-key", { what, expected: "a public key in PEM", found: "something else" });
  }
}
