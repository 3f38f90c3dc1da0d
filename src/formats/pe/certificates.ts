import { alignUp } from "../../lib/bytes/numbers.ts";
import { FormatError } from "../../lib/errors.ts";
import { setPeChecksum } from "./checksum.ts";
import { CERTIFICATE, DIRECTORY, WIN_CERT_REVISION_2_0, WIN_CERT_TYPE_PKCS_SIGNED_DATA } from "./layout.ts";
import type { Pe } from "./read.ts";

/** One WIN_CERTIFICATE. */
export interface CertificateEntry {
  /** File offset of the entry. */
  readonly offset: number;
  readonly revision: number;
  /** 2 is PKCS#7 SignedData. */
  readonly type: number;
  /** What follows the 8-byte header: for type 2 the DER, with up to 7 NULs when the writer counted its padding. */
  readonly content: Uint8Array;
}

/**
 * Walks the certificate table as firmware does; an unsigned file has no entries.
 *
 * @returns entries whose contents are views into `pe.bytes`
 * @throws {FormatError} `pe.certificates.misaligned`, `pe.certificates.not-at-end` (firmware refuses bytes behind
 *   the table), `pe.certificates.entry-length`, `pe.certificates.entry-outside-table`
 * @see Microsoft PE/COFF specification, "The Attribute Certificate Table"; edk2 DxeImageVerificationLib
 */
export function readCertificateTable(pe: Pe): CertificateEntry[] {
  if (pe.certificates === undefined) return [];
  const { offset: start, size } = pe.certificates;
  const end = start + size;
  requireTablePlace(pe, start, end);

  const view = new DataView(pe.bytes.buffer, pe.bytes.byteOffset, pe.bytes.byteLength);
  const entries: CertificateEntry[] = [];
  for (let at = start; at < end; ) {
    if (end - at < CERTIFICATE.content) throw entryOutsideTable(at, CERTIFICATE.content, end);
    const length = view.getUint32(at + CERTIFICATE.length, true);
    if (length < CERTIFICATE.content) {
      throw new FormatError("pe.certificates.entry-length", {
        what: "PE certificate entry: dwLength",
        offset: at,
        expected: "8 or more",
        found: `${length}`,
      });
    }
    const stored = alignUp(length, CERTIFICATE.alignment);
    if (stored > end - at) throw entryOutsideTable(at, stored, end);
    entries.push({
      offset: at,
      revision: view.getUint16(at + CERTIFICATE.revision, true),
      type: view.getUint16(at + CERTIFICATE.type, true),
      content: pe.bytes.subarray(at + CERTIFICATE.content, at + length),
    });
    at += stored;
  }
  return entries;
}

/**
 * A PKCS#7 signature that may come with the header it has in a certificate table: osslsigncode before 2.6 extracts it so.
 *
 * @returns a view of the DER; anything else is returned as it is
 */
export function unwrapCertificate(bytes: Uint8Array): Uint8Array {
  if (bytes.length < CERTIFICATE.content) return bytes;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getUint32(CERTIFICATE.length, true);
  const wrapped =
    view.getUint16(CERTIFICATE.revision, true) === WIN_CERT_REVISION_2_0 &&
    view.getUint16(CERTIFICATE.type, true) === WIN_CERT_TYPE_PKCS_SIGNED_DATA &&
    length >= CERTIFICATE.content &&
    alignUp(length, CERTIFICATE.alignment) === alignUp(bytes.length, CERTIFICATE.alignment);
  return wrapped ? bytes.subarray(CERTIFICATE.content, Math.min(length, bytes.length)) : bytes;
}

/**
 * Adds a PKCS#7 signature behind those a file has.
 *
 * Entries already there stay as they are, so their signatures stay valid. Writes the directory and CheckSum.
 *
 * @param der PKCS#7 SignedData; its unpadded length is recorded, as sbsign and systemd-sbsign do
 * @returns a new file, 8-byte aligned
 * @throws {FormatError} as `readCertificateTable()`
 */
export function appendCertificate(pe: Pe, der: Uint8Array): Uint8Array {
  readCertificateTable(pe);
  const kept = pe.certificates?.size ?? 0;
  return writeCertificates(pe, pe.bytes.length, kept, [der]);
}

/**
 * Gives a file exactly these PKCS#7 signatures; none makes it unsigned.
 *
 * @returns a new file, 8-byte aligned: the padding in front of a signature is part of what is signed
 * @throws {FormatError} as `readCertificateTable()`
 */
export function replaceCertificates(pe: Pe, ders: readonly Uint8Array[]): Uint8Array {
  readCertificateTable(pe);
  return writeCertificates(pe, pe.certificates?.offset ?? pe.bytes.length, 0, ders);
}

function writeCertificates(pe: Pe, keep: number, keptTable: number, ders: readonly Uint8Array[]): Uint8Array {
  const dataEnd = alignUp(keep, CERTIFICATE.alignment);
  const added = ders.reduce((sum, der) => sum + entrySize(der), 0);
  const out = Buffer.alloc(dataEnd + added);
  out.set(pe.bytes.subarray(0, keep));
  let at = dataEnd;
  for (const der of ders) {
    out.writeUInt32LE(CERTIFICATE.content + der.length, at + CERTIFICATE.length);
    out.writeUInt16LE(WIN_CERT_REVISION_2_0, at + CERTIFICATE.revision);
    out.writeUInt16LE(WIN_CERT_TYPE_PKCS_SIGNED_DATA, at + CERTIFICATE.type);
    out.set(der, at + CERTIFICATE.content);
    at += entrySize(der);
  }
  const size = keptTable + added;
  out.writeUInt32LE(size === 0 ? 0 : dataEnd - keptTable, pe.certificateEntryOffset + DIRECTORY.address);
  out.writeUInt32LE(size, pe.certificateEntryOffset + DIRECTORY.size);
  setPeChecksum(out, pe.checksumOffset);
  return out;
}

function entrySize(der: Uint8Array): number {
  return alignUp(CERTIFICATE.content + der.length, CERTIFICATE.alignment);
}

function requireTablePlace(pe: Pe, start: number, end: number): void {
  if (start % CERTIFICATE.alignment !== 0) {
    throw new FormatError("pe.certificates.misaligned", {
      what: "PE: certificate table",
      offset: pe.certificateEntryOffset,
      expected: "a file offset that is a multiple of 8",
      found: `${start}`,
    });
  }
  if (end !== pe.bytes.length) {
    throw new FormatError("pe.certificates.not-at-end", {
      what: "PE: end of the certificate table",
      offset: pe.certificateEntryOffset,
      expected: `the file's end, ${pe.bytes.length}`,
      found: `${end}`,
    });
  }
}

function entryOutsideTable(offset: number, size: number, end: number): FormatError {
  return new FormatError("pe.certificates.entry-outside-table", {
    what: "PE certificate entry",
    offset,
    expected: `${size} bytes`,
    found: `${end - offset} left in the table`,
  });
}
