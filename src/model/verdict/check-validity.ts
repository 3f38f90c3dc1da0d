import type { Certificate } from "../../formats/x509/index.ts";
import type { VerdictBuilder } from "./verdict.ts";

/** Says how long a certificate of db is valid. Firmware does not look at that, so it breaks nothing. */
export function checkValidity<Name extends string>(
  verdict: VerdictBuilder<Name | "certificate">,
  { notAfter, notBefore, subject }: Certificate,
  now: Date,
): void {
  const until = notAfter.toISOString().slice(0, 10);
  if (now > notAfter) {
    const message = `"${subject}" expired on ${until}; firmware does not look at that, other verifiers do`;
    verdict.warn("certificate", { code: "certificate.expired", message });
  } else if (now < notBefore) {
    const message = `"${subject}" is valid from ${notBefore.toISOString().slice(0, 10)} on`;
    verdict.warn("certificate", { code: "certificate.not-yet-valid", message });
  } else {
    verdict.holds("certificate", `${subject}, valid until ${until}`);
  }
}
