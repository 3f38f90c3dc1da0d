import { type Certificate, parseCertificates } from "../../formats/x509/index.ts";
import { FormatError } from "../../lib/errors.ts";
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
