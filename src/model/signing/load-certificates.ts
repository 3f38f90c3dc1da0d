import { type Certificate, parseCertificates } from "../../formats/x509/index.ts";
import { FormatError, UsageError } from "../../lib/errors.ts";
import { loadFile } from "../host-io/files.ts";

/** Safety limit for files with certificates. */
const MAX_CERTIFICATE_FILE_SIZE = 1 << 20;

/**
 * Reads every certificate of some files, PEM or DER.
 *
 * @throws {FormatError} `x509.pem.count` for a file without one, `x509.file-too-large`, `pem.…`, `der.…`, `x509.…`
 * @throws what `loadFile` throws
 */
export async function loadCertificates(paths: readonly string[]): Promise<Certificate[]> {
  const certificates: Certificate[] = [];
  for (const path of paths) {
    const what = `certificate ${path}`;
    const found = parseCertificates(await loadFile(path, what, MAX_CERTIFICATE_FILE_SIZE, "x509.file-too-large"), what);
    if (found.length === 0) {
      throw new FormatError("x509.pem.count", { what, expected: "a certificate, in DER or PEM", found: "none" });
    }
    certificates.push(...found);
  }
  return certificates;
}

/**
 * Loads the certificates of a db to verify against.
 *
 * @throws {UsageError} `verify.certificate-missing` without any
 * @throws as `loadCertificates`
 */
export async function requireCertificates(paths: readonly string[]): Promise<Certificate[]> {
  const certificates = await loadCertificates(paths);
  if (certificates.length > 0) return certificates;
  throw new UsageError("verify.certificate-missing", "no certificate to verify against", {
    hint: "name the certificate of your db with --cert keys/db.crt",
  });
}
