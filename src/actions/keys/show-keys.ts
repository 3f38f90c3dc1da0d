import { join } from "node:path";
import { KEY_DATABASES, verifyVariable } from "../../formats/efivars/index.ts";
import { certificateList, encodeSignatureLists } from "../../formats/esl/index.ts";
import { type Certificate, parseCertificate, showKey } from "../../formats/x509/index.ts";
import { parseGuid, showGuid } from "../../lib/bytes/guid.ts";
import { equalBytes, toHex } from "../../lib/bytes/numbers.ts";
import { NotFoundError, quote, SealwrightError, UsageError, VerificationError } from "../../lib/errors.ts";
import { exists } from "../../model/host-io/files.ts";
import { openSigner } from "../../model/signing/index.ts";
import { KEY_NAMES, type KeyName, loadOptional, OWNER_FILE, signerOf } from "./key-directory.ts";

export interface KeyDirectory {
  readonly directory: string;
  /** Signature owner; absent without GUID.txt. */
  readonly owner: string | undefined;
  readonly keys: readonly KeyReport[];
  /** What does not fit together; empty when the directory is as `generateKeys` leaves one. */
  readonly problems: readonly KeyProblem[];
}

export interface KeyReport {
  readonly name: KeyName;
  /** RFC 4514. */
  readonly subject: string;
  /** SHA-256 of the certificate, lower-case hex. */
  readonly fingerprint: string;
  /** `RSA-2048`. */
  readonly key: string;
  readonly notBefore: string;
  readonly notAfter: string;
  readonly privateKey: "present" | "encrypted" | "absent";
  /** The verified update in `.auth`; absent when there is none, or none that verifies. */
  readonly update: { readonly signedBy: KeyName; readonly time: string } | undefined;
  /** The key before, while a rotation has both in use. */
  readonly old?: { readonly subject: string; readonly fingerprint: string; readonly notAfter: string };
}

export interface KeyProblem {
  readonly file: string;
  readonly code: string;
  readonly message: string;
}

/**
 * Reads a key directory and checks that its files fit together: each private key belongs to its certificate, each
 * `.cer` and `.esl` holds it, and each `.auth` verifies as firmware would verify it.
 *
 * Private keys are looked at, not used; certificates alone are enough, as on a machine that only enrols.
 *
 * @throws {NotFoundError} `keys.not-found` when there is no certificate at all
 * @throws {FormatError} when a certificate cannot be read
 * @throws {UsageError} `guid.malformed`
 */
export async function showKeys(directory: string): Promise<KeyDirectory> {
  const certificates = await loadCertificates(directory);
  if (certificates.size === 0) {
    const expected = KEY_NAMES.map((name) => `${name}.crt`).join(", ");
    throw new NotFoundError("keys.not-found", `${quote(directory)}: no key is here, expected one of ${expected}`);
  }
  const problems: KeyProblem[] = [];
  /** Runs a check; what it refuses becomes a problem of this file. */
  const attempt = async <T>(file: string, check: () => T | Promise<T>): Promise<T | undefined> => {
    try {
      return await check();
    } catch (error) {
      if (!(error instanceof SealwrightError)) throw error;
      problems.push({ file, code: error.code, message: error.message });
      return undefined;
    }
  };

  const ownerText = await loadOptional(directory, OWNER_FILE);
  const owner = ownerText === undefined ? undefined : parseGuid(Buffer.from(ownerText).toString("latin1").trim());
  const keys: KeyReport[] = [];
  for (const [name, certificate] of certificates) {
    await attempt(`${name}.cer`, () => checkCer(directory, name, certificate));
    if (owner !== undefined) await attempt(`${name}.esl`, () => checkEsl(directory, name, certificate, owner));
    const update = await attempt(`${name}.auth`, () => verifyUpdate(directory, name, certificates));
    const old = await attempt(`${name}-old.crt`, () => loadOldCertificate(directory, name));
    const privateKey = await attempt(`${name}.key`, () => checkPrivateKey(directory, name, certificate));
    keys.push({ ...report(name, certificate, privateKey ?? "present", update), ...(old && { old: reportOld(old) }) });
  }
  return { directory, owner: owner && showGuid(owner), keys, problems };
}

function report(
  name: KeyName,
  certificate: Certificate,
  privateKey: KeyReport["privateKey"],
  update: KeyReport["update"],
): KeyReport {
  return {
    name,
    subject: certificate.subject,
    fingerprint: toHex(certificate.fingerprint),
    key: showKey(certificate.publicKey.facts),
    notBefore: certificate.notBefore.toISOString(),
    notAfter: certificate.notAfter.toISOString(),
    privateKey,
    update,
  };
}

/** The certificates in use. */
export async function loadCertificates(directory: string): Promise<ReadonlyMap<KeyName, Certificate>> {
  const found = new Map<KeyName, Certificate>();
  for (const name of KEY_NAMES) {
    const bytes = await loadOptional(directory, `${name}.crt`);
    if (bytes !== undefined) found.set(name, parseCertificate(bytes, `${name}.crt`));
  }
  return found;
}

async function checkCer(directory: string, name: KeyName, certificate: Certificate): Promise<void> {
  const bytes = await loadOptional(directory, `${name}.cer`);
  if (bytes === undefined || equalBytes(bytes, certificate.der)) return;
  throw new VerificationError("keys.cer.other-certificate", `${name}.cer is not the certificate in ${name}.crt`);
}

/** One list a certificate: the one in use, and behind it the one before while both are. */
async function checkEsl(directory: string, name: KeyName, certificate: Certificate, owner: Uint8Array): Promise<void> {
  const bytes = await loadOptional(directory, `${name}.esl`);
  // PK has one entry, whatever is in use.
  const old = name === "PK" ? undefined : await loadOldCertificate(directory, name);
  const certificates = [certificate, ...(old === undefined ? [] : [old])];
  const expected = encodeSignatureLists(certificates.map(({ der }) => certificateList(owner, der)));
  if (bytes === undefined || equalBytes(bytes, expected)) return;
  throw new VerificationError(
    "keys.esl.other-content",
    `${name}.esl is not the certificate in ${name}.crt${old === undefined ? "" : ` and that in ${name}-old.crt`}, ` +
      `each in a list with the owner in ${OWNER_FILE}`,
  );
}

/** The certificate before, while a rotation has both in use. */
export async function loadOldCertificate(directory: string, name: KeyName): Promise<Certificate | undefined> {
  const bytes = await loadOptional(directory, `${name}-old.crt`);
  return bytes && parseCertificate(bytes, `${name}-old.crt`);
}

function reportOld({ fingerprint, notAfter, subject }: Certificate): NonNullable<KeyReport["old"]> {
  return { subject, fingerprint: toHex(fingerprint), notAfter: notAfter.toISOString() };
}

/** Firmware enrols the update only when the key above signed it for the attributes that systemd-boot writes with. */
async function verifyUpdate(
  directory: string,
  name: KeyName,
  certificates: ReadonlyMap<KeyName, Certificate>,
): Promise<KeyReport["update"]> {
  const bytes = await loadOptional(directory, `${name}.auth`);
  if (bytes === undefined) return undefined;
  const signedBy = signerOf(name);
  const signer = certificates.get(signedBy);
  if (signer === undefined) {
    const message = `${name}.auth cannot be verified: ${signedBy}.crt, whose key should have signed it, is absent`;
    throw new VerificationError("keys.auth.signer-absent", message);
  }
  const { time, payload } = verifyVariable(bytes, KEY_DATABASES[name], [signer]);
  const esl = await loadOptional(directory, `${name}.esl`);
  if (esl !== undefined && !equalBytes(esl, payload)) {
    throw new VerificationError("keys.auth.other-content", `${name}.auth writes something else than ${name}.esl`);
  }
  return { signedBy, time: time.toISOString() };
}

async function checkPrivateKey(
  directory: string,
  name: KeyName,
  certificate: Certificate,
): Promise<KeyReport["privateKey"]> {
  const keyPath = join(directory, `${name}.key`);
  if (!(await exists(keyPath))) return "absent";
  const certificatePath = join(directory, `${name}.crt`);
  try {
    // Validity is shown, not judged: this is no attempt to sign.
    const options = { certificatePath, now: certificate.notBefore, allowEllipticCurve: true };
    await using _ = await openSigner(`file:${keyPath}`, options);
    return "present";
  } catch (error) {
    if (error instanceof UsageError && error.code === "signer.passphrase-needed") return "encrypted";
    throw error;
  }
}
