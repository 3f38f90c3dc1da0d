/**
 * EFI_SIGNATURE_LIST: the contents of PK, KEK, db and dbx, and of `.esl` files.
 *
 *     0       16         20           24          28
 *     +-------+----------+------------+-----------+----------------+----------------+--
 *     | type  | ListSize | HeaderSize | Signature | owner   data   | owner   data   | …
 *     | GUID  |          | 0          | Size      | (16)           |                |
 *     +-------+----------+------------+-----------+----------------+----------------+--
 *
 * A variable is any number of lists, one behind the other; all signatures of a list have one size. Follows UEFI 2.10
 * §32.4.1. Lists with a header are refused: no defined type has one. Types that are not known are kept as they are.
 */
export { type NamedHash, type SignatureDatabase, toSignatureDatabase } from "./database.ts";
export { SIGNATURE_TYPES, type SignatureType } from "./layout.ts";
export { parseSignatureLists, type Signature, type SignatureList, showSignatureType } from "./read.ts";
export {
  certificateHashList,
  certificateList,
  encodeSignatureLists,
  imageHashList,
  type RevokedCertificate,
} from "./write.ts";
