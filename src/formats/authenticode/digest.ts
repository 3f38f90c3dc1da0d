import { createHash } from "node:crypto";
import { alignUp } from "../../lib/bytes/numbers.ts";
import { type Pe, parsePe } from "../pe/index.ts";
import type { HashName } from "../x509/index.ts";

/** The checksum that Authenticode leaves out is 4 bytes, data directory entry 4 is 8. */
const CHECKSUM_SIZE = 4;
const DIRECTORY_ENTRY_SIZE = 8;

/**
 * The file ranges that the Authenticode digest covers, in hashing order; half-open.
 *
 * Numbered as in Microsoft's "Calculating the PE Image Hash". The tail starts at the sum of the sizes (step 13), not
 * at the end of the last section: where there are gaps the two differ, and firmware uses the sum.
 */
export function authenticodeRanges(pe: Pe): (readonly [from: number, to: number])[] {
  const ranges: (readonly [number, number])[] = [
    [0, pe.checksumOffset], // 3: headers up to CheckSum
    [pe.checksumOffset + CHECKSUM_SIZE, pe.certificateEntryOffset], // 5: on to data directory 4
    [pe.certificateEntryOffset + DIRECTORY_ENTRY_SIZE, pe.sizeOfHeaders], // 7: the rest of the headers
  ];
  // 9 to 12: sections that have raw data, by their place in the file
  const stored = pe.sections.filter(({ rawSize }) => rawSize > 0).sort((a, b) => a.rawOffset - b.rawOffset);
  let sum = pe.sizeOfHeaders;
  for (const { rawOffset, rawSize } of stored) {
    ranges.push([rawOffset, rawOffset + rawSize]);
    sum += rawSize;
  }
  // 13 and 14: what is left, without the certificate table
  const end = pe.bytes.length - (pe.certificates?.size ?? 0);
  if (end > sum) ranges.push([sum, end]);
  return ranges;
}

/**
 * Computes the Authenticode digest: what signatures are made over, what dbx lists, what PCR 4 is extended with.
 *
 * Hashes views of the file, nothing is copied. An unsigned file is taken as padded with NULs to a multiple of 8, as
 * it will be once signed, so the digest does not depend on the signatures that a file has.
 *
 * @throws {FormatError} `pe.…` when `file` is bytes and not a PE file
 * @see Microsoft "Windows Authenticode Portable Executable Signature Format"; edk2 DxeImageVerificationLib
 */
export function computeAuthenticodeDigest(file: Pe | Uint8Array, algorithm: HashName = "sha256"): Uint8Array {
  const pe = file instanceof Uint8Array ? parsePe(file) : file;
  const hash = createHash(algorithm);
  for (const [from, to] of authenticodeRanges(pe)) hash.update(pe.bytes.subarray(from, to));
  if (pe.certificates === undefined) hash.update(new Uint8Array(alignUp(pe.bytes.length, 8) - pe.bytes.length));
  return hash.digest();
}
