import type { HashName } from "../x509/index.ts";

/** Authenticode's ASN.1 (Microsoft "Windows Authenticode Portable Executable Signature Format", 2008). */
export const SPC_INDIRECT_DATA = "1.3.6.1.4.1.311.2.1.4";
export const SPC_PE_IMAGE_DATA = "1.3.6.1.4.1.311.2.1.15";

/** Unsigned attribute with an RFC 3161 token over the signature; Microsoft's own number, which every tool took over. */
export const SPC_RFC3161_TIMESTAMP = "1.3.6.1.4.1.311.3.3.1";

/** Digest sizes in bytes of the algorithms that firmware looks for. */
export const DIGEST_SIZES: Readonly<Record<HashName, number>> = { sha256: 32, sha384: 48, sha512: 64 };

/**
 * Size limits of edk2: it looks for the digest algorithm at a fixed place, which holds while the two outer lengths
 * have two octets (DxeImageVerificationLib, HashPeImageByType).
 */
export const EDK2_MIN_SIGNATURE_SIZE = 256;
export const EDK2_MAX_SIGNATURE_SIZE = 65_535;

/** Signatures in one image. Safety limit, not a format rule: each costs the time of verifying a chain. */
export const MAX_SIGNATURES = 32;
