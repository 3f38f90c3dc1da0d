/**
 * Keys that sign, wherever they are, and the certificates that go with them.
 *
 *     reference --openSigner--> Signer { certificate, sign(message) }      for PE files and variables
 *               --openPolicyKey--> PolicyKey { publicKey, sign(message) }  for PCR policies
 *
 * A back end knows one notation and gives a `SigningKey`; it is loaded when it is used. What a back end gives is
 * verified before anything else sees it. They are in `file-key.ts`, `exec/`, `pkcs11/` and `services/`.
 */
export { type EphemeralSignerOptions, openEphemeralSigner } from "./ephemeral-signer.ts";
export { loadCertificates, requireCertificates } from "./load-certificates.ts";
export {
  isFileReference,
  openPolicyKey,
  openSigner,
  type PolicyKey,
  type SignerOptions,
} from "./open-signer.ts";
export { type NamedKey, openSigners, type Signers } from "./open-signers.ts";
export type { AskSecret, SecretQuestion } from "./secrets.ts";
export type { Signer } from "./signer.ts";
export type { Environment, KeyContext } from "./signing-key.ts";
