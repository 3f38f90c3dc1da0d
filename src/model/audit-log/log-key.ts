/** Signatures that stand alone, of approvals and of the audit log: see `SIGNATURE_ALGORITHMS`. */
import type { LogKey } from "../../formats/audit-log/index.ts";
import { DerReader } from "../../formats/der/index.ts";
import { fingerprintOf, signatureAlgorithmOf } from "../../formats/signing-request/index.ts";
import type { PublicKey } from "../../formats/x509/index.ts";

/** Anything that signs as `Signer.sign` does. */
export interface DetachedSigner {
  readonly publicKey: PublicKey;
  sign(message: Uint8Array): Promise<Uint8Array>;
}

/** @throws {UnsupportedError} `approval.key-type` for a key that is neither RSA nor on P-256 */
export function toLogKey(signer: DetachedSigner): LogKey {
  const algorithm = signatureAlgorithmOf(signer.publicKey);
  return {
    fingerprint: fingerprintOf(signer.publicKey),
    algorithm,
    sign: async (message) => {
      const signature = await signer.sign(message);
      return algorithm === "rsa-sha256" ? signature : toP1363(signature);
    },
  };
}

const P256_SIZE = 32;

/** ECDSA-Sig-Value in DER (RFC 3279 §2.2.3) to r and s side by side (IEEE P1363). */
function toP1363(der: Uint8Array): Uint8Array {
  const value = new DerReader(der, "ECDSA signature").sequence("ECDSA-Sig-Value");
  const numbers = [value.integer("r"), value.integer("s")];
  return Buffer.from(numbers.map((each) => each.toString(16).padStart(P256_SIZE * 2, "0")).join(""), "hex");
}
