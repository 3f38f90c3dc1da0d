import { type Certificate, type KeyFacts, parseCertificate, showKey } from "../../formats/x509/index.ts";
import { equalBytes } from "../../lib/bytes/numbers.ts";
import { FormatError, PolicyError, quote, UsageError } from "../../lib/errors.ts";
import { loadFile, openInputFile, readExactly } from "../host-io/files.ts";
import { PrivateKey } from "./private-key.ts";
import type { Signer } from "./signer.ts";

export interface FileSignerOptions {
  /** PEM: PKCS#8, PKCS#1 or SEC1; encrypted when `passphrase` is given. */
  readonly keyPath: string;
  /** PEM or DER. */
  readonly certificatePath: string;
  /** Called only when the key is encrypted. */
  readonly passphrase?: () => Promise<string>;
  readonly now: Date;
  /** Sign although `now` is outside the certificate's validity: firmware does not look at it, other verifiers do. */
  readonly allowExpiredCertificate?: boolean;
  /** Use a key file that others than its owner can read or write. */
  readonly allowLooseKeyPermissions?: boolean;
  /** Take an elliptic curve key. Firmware of 2022 refuses what it signs, and SetVariable refuses its certificate. */
  readonly allowEllipticCurve?: boolean;
}

/** Safety limit: an RSA-8192 key is 7 KiB of PEM, a certificate with all its names about as much. */
const MAX_KEY_FILE_SIZE = 64 * 1024;

/** Below this, a key can be broken; edk2 still accepts 1024. */
const MIN_RSA_BITS = 2048;

/**
 * Opens a signer whose key is in a file.
 *
 * @throws {PolicyError} `signer.key-permissions`, `signer.certificate-expired`, `signer.certificate-not-yet-valid`,
 *   `signer.key-too-weak`, `signer.key-type`
 * @throws {UsageError} `signer.key-certificate-mismatch`, `signer.passphrase-needed`, `signer.passphrase-wrong`
 * @throws {FormatError} `signer.key-unreadable`, `signer.file-too-large`, `x509.…`, `pem.…`, `der.…`
 * @throws {NotFoundError} `input.not-found`
 */
export async function openFileSigner(options: FileSignerOptions): Promise<Signer> {
  const { keyPath, certificatePath } = options;
  const what = `certificate ${quote(certificatePath)}`;
  const bytes = await loadFile(certificatePath, what, MAX_KEY_FILE_SIZE, "signer.file-too-large");
  const certificate = parseCertificate(bytes, what);
  requireValidity(certificate, options);
  requireKeyType(certificate.publicKey.facts, options);
  const key = await PrivateKey.parse(await loadKeyFile(options), keyPath, options.passphrase);
  if (!equalBytes(key.publicKey, certificate.publicKey.spki)) {
    throw new UsageError(
      "signer.key-certificate-mismatch",
      `${quote(keyPath)} is not the private key of ${quote(certificatePath)} ("${certificate.subject}")`,
    );
  }
  return makeSigner(key, certificate);
}

/** A signer of this key. */
export function makeSigner(key: PrivateKey, certificate: Certificate): Signer {
  return {
    certificate,
    sign: (message) => key.sign(message),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** Looks at the permissions of the file that it reads, not of the name: nobody can swap it in between. */
async function loadKeyFile({ keyPath, allowLooseKeyPermissions = false }: FileSignerOptions): Promise<Uint8Array> {
  const what = `private key ${quote(keyPath)}`;
  await using handle = await openInputFile(keyPath, what);
  const { mode } = await handle.stat();
  if ((mode & 0o077) !== 0 && !allowLooseKeyPermissions) {
    const shown = (mode & 0o777).toString(8).padStart(4, "0");
    throw new PolicyError("signer.key-permissions", `${what}: mode is ${shown}, so others than its owner can use it`, {
      hint: `chmod 600 ${keyPath}`,
      data: { path: keyPath, mode: shown },
    });
  }
  if (handle.byteSize > MAX_KEY_FILE_SIZE) {
    const found = `${handle.byteSize}`;
    throw new FormatError("signer.file-too-large", { what, expected: `at most ${MAX_KEY_FILE_SIZE} bytes`, found });
  }
  return await readExactly(handle, keyPath, 0, handle.byteSize, what);
}

function requireValidity(certificate: Certificate, { now, allowExpiredCertificate = false }: FileSignerOptions): void {
  if (allowExpiredCertificate) return;
  const { subject, notBefore, notAfter } = certificate;
  const data = { subject, notBefore: notBefore.toISOString(), notAfter: notAfter.toISOString() };
  if (now > notAfter) {
    const message = `the certificate of "${subject}" expired on ${showDay(notAfter)}`;
    throw new PolicyError("signer.certificate-expired", message, { data });
  }
  if (now < notBefore) {
    const message = `the certificate of "${subject}" is valid from ${showDay(notBefore)} on`;
    throw new PolicyError("signer.certificate-not-yet-valid", message, { data });
  }
}

function showDay(time: Date): string {
  return time.toISOString().slice(0, 10);
}

function requireKeyType(facts: KeyFacts, { allowEllipticCurve = false }: FileSignerOptions): void {
  if (facts.kind === "rsa" && facts.bits < MIN_RSA_BITS) {
    throw new PolicyError("signer.key-too-weak", `the key is ${showKey(facts)}, expected at least RSA-${MIN_RSA_BITS}`);
  }
  if (facts.kind === "other" || (facts.kind === "ec" && !allowEllipticCurve)) {
    throw new PolicyError(
      "signer.key-type",
      `the key is ${showKey(facts)}, expected RSA: not every firmware verifies anything else`,
    );
  }
}
