import type { Certificate } from "../../formats/x509/index.ts";

/** Holds, or can reach, a private key. Everything that signs goes through this; nothing else sees a key. */
export interface Signer extends AsyncDisposable {
  readonly certificate: Certificate;
  /**
   * Signs with RSASSA-PKCS1-v1_5 over SHA-256 (RSA keys) or ECDSA with SHA-256 (EC keys).
   *
   * @param message what is signed, not its hash
   * @returns the raw signature: big-endian, modulus length for RSA; DER for ECDSA
   */
  sign(message: Uint8Array): Promise<Uint8Array>;
}
