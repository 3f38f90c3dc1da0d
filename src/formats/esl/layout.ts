import { type Guid, parseGuid } from "../../lib/bytes/guid.ts";

/** EFI_SIGNATURE_LIST up to its signatures: type, list size, header size, signature size (UEFI 2.10 §32.4.1). */
export const LIST_HEADER_SIZE = 28;
/** EFI_SIGNATURE_DATA up to its data. */
export const OWNER_SIZE = 16;

/** Largest variable taken. Safety limit, not a format rule: firmware stores allow some tens of KiB. */
export const MAX_LISTS_SIZE = 4 << 20;

/**
 * UEFI 2.10 §32.4.1, "EFI_CERT_…_GUID". `dataSize` is fixed by the type; certificates have any size.
 *
 * The `x509-…` hashes are of a certificate's TBSCertificate, followed by an EFI_TIME of revocation.
 */
export const SIGNATURE_TYPES = {
  x509: { guid: parseGuid("a5c059a1-94e4-4aa7-87b5-ab155c2bf072"), dataSize: undefined },
  sha256: { guid: parseGuid("c1c41626-504c-4092-aca9-41f936934328"), dataSize: 32 },
  sha384: { guid: parseGuid("ff3e5307-9fd0-48c9-85f1-8ad56c701e01"), dataSize: 48 },
  sha512: { guid: parseGuid("093e0fae-a6c4-4f50-9f1b-d41e2b89c19a"), dataSize: 64 },
  "x509-sha256": { guid: parseGuid("3bd2a492-96c0-4079-b420-fcf98ef103ed"), dataSize: 48 },
  "x509-sha384": { guid: parseGuid("7076876e-80c2-4ee6-aad2-28b349a6865b"), dataSize: 64 },
  "x509-sha512": { guid: parseGuid("446dbf63-2502-4cda-bcfa-2465d2b0fe9d"), dataSize: 80 },
  external: { guid: parseGuid("452e8ced-dfff-4b8c-ae01-5118862e682c"), dataSize: 1 },
} as const satisfies Record<string, { guid: Guid; dataSize: number | undefined }>;

export type SignatureType = keyof typeof SIGNATURE_TYPES;
