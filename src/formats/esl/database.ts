import { type Certificate, type HashName, parseCertificate } from "../x509/index.ts";
import type { SignatureType } from "./layout.ts";
import type { SignatureList } from "./read.ts";

export interface NamedHash {
  readonly algorithm: HashName;
  readonly hash: Uint8Array;
}

/** What db allows or dbx forbids. */
export interface SignatureDatabase {
  readonly certificates: readonly Certificate[];
  /** Authenticode digests. */
  readonly imageHashes?: readonly NamedHash[];
  /** Hashes of TBSCertificate. Taken as revoked from the start of time: boot has no trusted clock. */
  readonly certificateHashes?: readonly NamedHash[];
}

/**
 * Sorts the signatures of lists by what they stand for; types that say nothing about images are left out.
 *
 * @throws {FormatError} `der.…`, `x509.…` when a certificate cannot be read
 */
export function toSignatureDatabase(lists: readonly SignatureList[]): SignatureDatabase {
  const dataOf = (type: SignatureType): Uint8Array[] =>
    lists.filter(({ typeName }) => typeName === type).flatMap(({ signatures }) => signatures.map(({ data }) => data));
  return {
    certificates: dataOf("x509").map((data) => parseCertificate(data, "certificate in a signature list")),
    imageHashes: HASHES.flatMap((algorithm) => dataOf(algorithm).map((hash) => ({ algorithm, hash }))),
    certificateHashes: HASHES.flatMap((algorithm) =>
      dataOf(`x509-${algorithm}`).map((data) => ({ algorithm, hash: data.subarray(0, -EFI_TIME_SIZE) })),
    ),
  };
}

const HASHES = ["sha256", "sha384", "sha512"] as const satisfies readonly HashName[];

/** The time of revocation behind the hash (EFI_CERT_X509_SHA256). */
const EFI_TIME_SIZE = 16;
