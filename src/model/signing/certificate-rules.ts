/** Which certificates and keys may sign. */
import { type Certificate, type KeyFacts, showKey } from "../../formats/x509/index.ts";
import { PolicyError } from "../../lib/errors.ts";

export interface CertificateRules {
  readonly now: Date;
  /** Sign although `now` is outside the certificate's validity: firmware does not look at it, other verifiers do. */
  readonly allowExpiredCertificate?: boolean;
  /** Take an elliptic curve key. Firmware of 2022 refuses what it signs, and SetVariable refuses its certificate. */
  readonly allowEllipticCurve?: boolean;
}

/** Below this, a key can be broken; edk2 still accepts 1024. */
const MIN_RSA_BITS = 2048;

/** @throws {PolicyError} `signer.certificate-expired`, `signer.certificate-not-yet-valid` */
export function requireValidity(certificate: Certificate, rules: CertificateRules): void {
  const { allowExpiredCertificate = false, now } = rules;
  if (allowExpiredCertificate) return;
  const { subject, notBefore, notAfter } = certificate;
  const data = { subject, notBefore: notBefore.toISOString(), notAfter: notAfter.toISOString() };
  if (now > notAfter) {
    const message = `the certificate of "${subject}" expired on ${showDay(notAfter)}`;
    throw new PolicyError("signer.certificate-expired", message, { data });
  }
  if (now < notBefore) {
    const message = `the certificate of "${subject}" is valid from ${showDay(notBefore)} on`;
    throw new PolicyError("signer.certificate-not-yet-valid", message, { data });
  }
}

function showDay(time: Date): string {
  return time.toISOString().slice(0, 10);
}

/** @throws {PolicyError} `signer.key-too-weak`, `signer.key-type` */
export function requireKeyType(facts: KeyFacts, { allowEllipticCurve = false }: CertificateRules): void {
  if (facts.kind === "rsa" && facts.bits < MIN_RSA_BITS) {
    throw new PolicyError("signer.key-too-weak", `the key is ${showKey(facts)}, expected at least RSA-${MIN_RSA_BITS}`);
  }
  if (facts.kind === "ec" && !allowEllipticCurve) {
    throw new PolicyError(
      "signer.key-type",
      `the key is ${showKey(facts)}, expected RSA: edk2 of 2022 refuses ECDSA signatures, and SetVariable of 2026 still refuses such certificates`,
      { hint: "where db is written by other means and all firmware is recent, --allow-ec-key takes it" },
    );
  }
  if (facts.kind === "other") {
    throw new PolicyError("signer.key-type", `the key is ${showKey(facts)}, expected RSA: no firmware verifies it`);
  }
}
