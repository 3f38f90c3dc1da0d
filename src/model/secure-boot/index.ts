/** What Secure Boot keys are made of beyond one's own: Microsoft's certificates, and what a machine starts from option ROMs. */
export {
  findMicrosoft,
  type KnownCertificate,
  loadMicrosoftCertificates,
  MICROSOFT_CERTIFICATES,
  MICROSOFT_OWNER,
} from "./microsoft.ts";
