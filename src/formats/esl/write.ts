import type { Guid } from "../../lib/bytes/guid.ts";
import { LIST_HEADER_SIZE, OWNER_SIZE, SIGNATURE_TYPES, type SignatureType } from "./layout.ts";
import type { Signature, SignatureList } from "./read.ts";

/** Writes lists one behind the other, the form that a variable has. */
export function encodeSignatureLists(lists: readonly SignatureList[]): Uint8Array {
  return Buffer.concat(lists.map(encodeList));
}

function encodeList({ type, signatures }: SignatureList): Uint8Array {
  const dataSize = signatures[0]?.data.length ?? 0;
  if (signatures.some(({ data }) => data.length !== dataSize)) {
    throw new RangeError("the signatures of a list have one size");
  }
  const signatureSize = OWNER_SIZE + dataSize;
  const header = Buffer.alloc(LIST_HEADER_SIZE);
  header.set(type);
  header.writeUInt32LE(LIST_HEADER_SIZE + signatures.length * signatureSize, 16);
  header.writeUInt32LE(signatureSize, 24);
  return Buffer.concat([header, ...signatures.flatMap(({ owner, data }) => [owner, data])]);
}

/** A list with one certificate, the only way to store certificates of different sizes. */
export function certificateList(owner: Guid, certificateDer: Uint8Array): SignatureList {
  return makeList("x509", [{ owner, data: certificateDer }]);
}

/** A list of Authenticode digests. */
export function imageHashList(
  owner: Guid,
  hashes: readonly Uint8Array[],
  type: "sha256" | "sha384" | "sha512" = "sha256",
): SignatureList {
  const size = SIGNATURE_TYPES[type].dataSize;
  if (hashes.some((hash) => hash.length !== size)) throw new RangeError(`${type} hashes have ${size} bytes`);
  return makeList(
    type,
    hashes.map((data) => ({ owner, data })),
  );
}

/** A certificate that is revoked by the hash of its TBSCertificate, whoever else it is listed for. */
export interface RevokedCertificate {
  /** SHA-256 of the TBSCertificate. */
  readonly hash: Uint8Array;
  /** EFI_TIME from when on it is revoked; zeros for always, which is what firmware without trusted timestamps needs. */
  readonly time: Uint8Array;
}

/** A list of EFI_CERT_X509_SHA256, for dbx. */
export function certificateHashList(owner: Guid, revoked: readonly RevokedCertificate[]): SignatureList {
  if (revoked.some(({ hash, time }) => hash.length !== 32 || time.length !== 16)) {
    throw new RangeError("a SHA-256 hash has 32 bytes, an EFI_TIME 16");
  }
  return makeList(
    "x509-sha256",
    revoked.map(({ hash, time }) => ({ owner, data: Buffer.concat([hash, time]) })),
  );
}

function makeList(typeName: SignatureType, signatures: readonly Signature[]): SignatureList {
  return { type: SIGNATURE_TYPES[typeName].guid, typeName, signatures };
}
