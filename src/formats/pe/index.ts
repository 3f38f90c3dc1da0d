/**
 * PE: the executable format of UEFI (PE32 and PE32+), as far as signing and unified kernel images need it.
 *
 *     0          e_lfanew                     SizeOfHeaders                    8-aligned
 *     +-----------+----+------+----------+------+-----------+-----+-----------+-------------------+
 *     | MZ … 0x3c | PE | COFF | optional | table| raw data  | …   | raw data  | certificate table |
 *     +-----------+----+------+-+------+-+------+-----------+-----+-----------+-------------------+
 *                               |      `- data directory 4: file offset and size ----^
 *                               `- CheckSum
 *
 * Written after the Microsoft PE/COFF specification, revision 11, and UEFI 2.10 section 2.1.1. Object files, imports,
 * exports, relocations and long section names (`/n`) are not interpreted.
 */
export {
  appendCertificate,
  type CertificateEntry,
  readCertificateTable,
  replaceCertificates,
  unwrapCertificate,
} from "./certificates.ts";
export { requireLoadable } from "./check.ts";
export { computePeChecksum, setPeChecksum } from "./checksum.ts";
export {
  BASE_RELOCATION_DIRECTORY,
  CERTIFICATE_DIRECTORY,
  IMAGE_DLLCHARACTERISTICS_NX_COMPAT,
  IMAGE_SUBSYSTEM_EFI_APPLICATION,
  MACHINE,
  SECTION_NAME_SIZE,
  WIN_CERT_REVISION_2_0,
  WIN_CERT_TYPE_PKCS_SIGNED_DATA,
} from "./layout.ts";
export {
  type CertificateDirectory,
  type DataDirectory,
  isPe,
  type Pe,
  type PeSection,
  parsePe,
  sectionContent,
} from "./read.ts";
