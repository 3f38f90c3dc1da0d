/**
 * The one way to a key, whatever its notation:
 *
 *     db.key, file:db.key          PEM, encrypted or not
 *     pkcs11:token=…;object=…      token or HSM (RFC 7512)
 *     awskms: gcpkms: azurekv:     keys of cloud services
 *     vault:                       the transit engine of Vault and OpenBao
 *     exec:PROGRAM ARGUMENT…       anything else
 */
import {
  type Certificate,
  isSignedWith,
  type PublicKey,
  parseCertificate,
  parsePublicKey,
} from "../../formats/x509/index.ts";
import { equalBytes } from "../../lib/bytes/numbers.ts";
import { quote, UsageError, VerificationError } from "../../lib/errors.ts";
import { loadFile } from "../host-io/files.ts";
import { throwIfInterrupted } from "../host-io/interrupt.ts";
import { type CertificateRules, requireKeyType, requireValidity } from "./certificate-rules.ts";
import { MAX_KEY_FILE_SIZE } from "./secret-file.ts";
import type { Signer } from "./signer.ts";
import type { KeyContext, SigningKey } from "./signing-key.ts";

export interface SignerOptions extends KeyContext, CertificateRules {
  /** PEM or DER. Default: the certificate that a token keeps beside its key. */
  readonly certificatePath?: string | undefined;
}

type OpenKey = (reference: string, context: KeyContext) => Promise<SigningKey>;

/** Back ends by scheme; each is loaded when it is used. */
const BACK_ENDS: Readonly<Record<string, () => Promise<OpenKey>>> = {
  file: async () => {
    const { openFileKey } = await import("./file-key.ts");
    return (reference, context) => openFileKey(reference.slice("file:".length), context);
  },
  pkcs11: async () => (await import("./pkcs11/key.ts")).openPkcs11Key,
  awskms: async () => (await import("./services/aws-kms-key.ts")).openAwsKmsKey,
  gcpkms: async () => (await import("./services/google-kms-key.ts")).openGoogleKmsKey,
  azurekv: async () => (await import("./services/azure-key-vault-key.ts")).openAzureKey,
  vault: async () => (await import("./services/vault-key.ts")).openVaultKey,
  exec: async () => (await import("./exec/exec-key.ts")).openExecKey,
};

/** A key without a certificate, as PCR policies use it. */
export interface PolicyKey extends AsyncDisposable {
  readonly publicKey: PublicKey;
  /** As `Signer.sign`. */
  sign(message: Uint8Array): Promise<Uint8Array>;
}

/**
 * Opens a signer: a key and its certificate.
 *
 * Every signature is verified against the certificate before it is handed out. Nothing that it throws or shows holds
 * key material, PINs, passphrases or tokens.
 *
 * @param reference a file, or `SCHEME:…` as above
 * @throws {UsageError} `signer.certificate-missing`, `signer.key-certificate-mismatch`, `signer.reference`,
 *   `signer.passphrase-…`, `signer.pin-…`
 * @throws {PolicyError} `signer.key-permissions`, `signer.certificate-expired`, `signer.certificate-not-yet-valid`,
 *   `signer.key-too-weak`, `signer.key-type`
 * @throws {FormatError} `signer.key-unreadable`, `signer.file-too-large`, `x509.…`, `pem.…`, `der.…`
 * @throws {NotFoundError} `input.not-found`, `signer.token-absent`, `signer.key-absent`
 * @throws {ServiceError} `signer.service-…`, `signer.pkcs11-…`; signing throws these as well, and
 *   {VerificationError} `signer.signature-wrong`
 */
export async function openSigner(reference: string, options: SignerOptions): Promise<Signer> {
  const { certificatePath } = options;
  // First, because it asks nobody for a PIN.
  const given = certificatePath === undefined ? undefined : await loadCertificate(certificatePath);
  if (given !== undefined) requireUsable(given, options);
  const key = await openKey(reference, options);
  try {
    const certificate = given ?? (await storedCertificate(key));
    if (given === undefined) requireUsable(certificate, options);
    else await requireSameKey(key, certificate, certificatePath ?? "");
    return {
      certificate,
      sign: (message) => signVerified(key, certificate.publicKey, message, options.signal),
      [Symbol.asyncDispose]: () => key[Symbol.asyncDispose](),
    };
  } catch (error) {
    await key[Symbol.asyncDispose]();
    throw error;
  }
}

/**
 * Opens a key for which no certificate stands: that of a PCR policy.
 *
 * @param options `publicKey` is its SubjectPublicKeyInfo, DER; needed where the key cannot be asked for it
 * @throws {UsageError} `signer.public-key-unknown`, `uki.pcr.key-mismatch`; otherwise as `openSigner`
 */
export async function openPolicyKey(
  reference: string,
  options: KeyContext & { readonly publicKey?: Uint8Array | undefined },
): Promise<PolicyKey> {
  const key = await openKey(reference, options);
  try {
    const told = await key.publicKey();
    const spki = options.publicKey ?? told;
    if (spki === undefined) {
      throw new UsageError("signer.public-key-unknown", `${key.name}: its public key cannot be asked for`, {
        hint: "name the public key as well",
      });
    }
    if (told !== undefined && !equalBytes(told, spki)) {
      throw new UsageError("uki.pcr.key-mismatch", `${key.name} is not the private key of the public key given`);
    }
    const publicKey = parsePublicKey(spki);
    return {
      publicKey,
      sign: (message) => signVerified(key, publicKey, message, options.signal),
      [Symbol.asyncDispose]: () => key[Symbol.asyncDispose](),
    };
  } catch (error) {
    await key[Symbol.asyncDispose]();
    throw error;
  }
}

/** Whether a reference names a file, which can be looked at, and not a key elsewhere. */
export function isFileReference(reference: string): boolean {
  const scheme = schemeOf(reference);
  return scheme === undefined || scheme === "file";
}

/** Only known schemes: a file may have a colon in its name. */
function schemeOf(reference: string): string | undefined {
  const scheme = /^([a-z0-9]+):/i.exec(reference)?.[1]?.toLowerCase();
  return scheme !== undefined && Object.hasOwn(BACK_ENDS, scheme) ? scheme : undefined;
}

async function openKey(reference: string, context: KeyContext): Promise<SigningKey> {
  const scheme = schemeOf(reference);
  const open = await BACK_ENDS[scheme ?? "file"]?.();
  if (open === undefined) throw new TypeError(`no back end for ${quote(reference)}`);
  return await open(scheme === undefined ? `file:${reference}` : reference, context);
}

async function loadCertificate(path: string): Promise<Certificate> {
  const bytes = await loadFile(path, "certificate", MAX_KEY_FILE_SIZE, "signer.file-too-large");
  return parseCertificate(bytes, `certificate ${quote(path)}`);
}

async function storedCertificate(key: SigningKey): Promise<Certificate> {
  const der = await key.certificate?.();
  if (der !== undefined) return parseCertificate(der, `certificate of ${key.name}`);
  throw new UsageError(
    "signer.certificate-missing",
    `${key.name}: no certificate is given, and none is kept beside it`,
    {
      hint: "name the certificate of this key with --cert FILE",
    },
  );
}

function requireUsable(certificate: Certificate, rules: CertificateRules): void {
  requireValidity(certificate, rules);
  requireKeyType(certificate.publicKey.facts, rules);
}

/** Early, where the public key costs nothing to know: a wrong pair is found before anything is built. */
async function requireSameKey(key: SigningKey, certificate: Certificate, path: string): Promise<void> {
  if (key.asksForPublicKey === true) return;
  const publicKey = await key.publicKey();
  if (publicKey === undefined || equalBytes(publicKey, certificate.publicKey.spki)) return;
  throw new UsageError(
    "signer.key-certificate-mismatch",
    `${key.name} is not the private key of ${quote(path)} ("${certificate.subject}")`,
  );
}

/**
 * Signs, and verifies before anyone else sees the signature: a service may answer for another key or version, a program
 * may write anything.
 */
async function signVerified(
  key: SigningKey,
  publicKey: PublicKey,
  message: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  throwIfInterrupted(signal);
  const signature = await key.sign(message, publicKey.facts);
  if (isSignedWith(publicKey, "sha256", message, signature)) return signature;
  throw new VerificationError(
    "signer.signature-wrong",
    `${key.name}: what it gave (${signature.length} bytes) is no signature by the key of the certificate`,
    { data: { key: key.name, size: signature.length } },
  );
}
