/** Takes signatures that were made elsewhere, in any of the forms in which tools give them. */
import {
  attachSignature,
  computeAuthenticodeDigest,
  listSignatures,
  type PeSignature,
  prepareSignature,
  removeSignatures,
  verifyPe,
} from "../../formats/authenticode/index.ts";
import { ATTRIBUTE, parseSignedAttributes } from "../../formats/cms/index.ts";
import { DerReader } from "../../formats/der/index.ts";
import { appendCertificate, parsePe, unwrapCertificate } from "../../formats/pe/index.ts";
import type { Certificate } from "../../formats/x509/index.ts";
import { equalBytes, toHex } from "../../lib/bytes/numbers.ts";
import { quote, SealwrightError, VerificationError } from "../../lib/errors.ts";
import type { BroughtSignature } from "./directory.ts";

/**
 * Puts a signature that was brought onto the file that it is for. Only the signature is taken from what was brought,
 * never a byte of the file around it.
 *
 * @param pe without this signature
 * @param message what was to be signed
 * @throws {VerificationError} `signing-request.signature-wrong`, `signing-request.signature-other-file`,
 *   `signing-request.signature-other-certificate`
 */
export function completePe(
  pe: Uint8Array,
  certificate: Certificate,
  message: Uint8Array,
  brought: BroughtSignature,
): Uint8Array {
  const what = `signature ${quote(brought.file)}`;
  return translated(what, () => {
    switch (brought.kind) {
      case "raw":
        return attachSignature(pe, { certificate, message, signature: brought.bytes });
      case "pkcs7":
        return requireSignedFor(appendCertificate(parsePe(pe), unwrapCertificate(brought.bytes)), certificate, what);
      case "pe":
        return requireSignedFor(
          appendCertificate(parsePe(pe), findSignature(brought.bytes, certificate, what)),
          certificate,
          what,
        );
      default:
        return brought.kind satisfies never;
    }
  });
}

/** The PKCS #7 of the signature that a completed file has of this certificate. */
export function signatureOf(signed: Uint8Array, certificate: Certificate): Uint8Array {
  return findSignature(signed, certificate, "signature");
}

/**
 * Requires that what is to be signed is about this file, and is nothing else than a signature over it needs: nobody can
 * have other attributes signed.
 *
 * @throws {VerificationError} `signing-request.to-be-signed`
 */
export function requireMessageFor(pe: Uint8Array, message: Uint8Array, what: string): void {
  try {
    const time = parseSignedAttributes(message).values.get(ATTRIBUTE.signingTime);
    if (time !== undefined) {
      const signingTime = new DerReader(time.raw, "signingTime").time("value");
      if (equalBytes(prepareSignature(pe, signingTime).message, message)) return;
    }
  } catch (error) {
    if (!(error instanceof SealwrightError)) throw error;
  }
  throw new VerificationError(
    "signing-request.to-be-signed",
    `${what}: what is to be signed is not the attributes of a signature over the file with digest ` +
      toHex(computeAuthenticodeDigest(pe)),
  );
}

/** Picks the one signature that this certificate stands for: a file may have others, before and after. */
function findSignature(signed: Uint8Array, certificate: Certificate, what: string): Uint8Array {
  const pe = parsePe(signed);
  const found = listSignatures(pe);
  if (found.length === 0) throw wrong(what, "the file has no signature");
  const ours = found.find((one): one is PeSignature => one.kind === "authenticode" && isBy(certificate, one.signer));
  if (ours === undefined) throw otherCertificate(what, certificate);
  return ours.der;
}

function requireSignedFor(signed: Uint8Array, certificate: Certificate, what: string): Uint8Array {
  const pe = parsePe(signed);
  const last = listSignatures(pe).at(-1);
  if (last?.kind === "unreadable") throw wrong(what, last.problem.message);
  if (last === undefined || !isBy(certificate, last.signer)) throw otherCertificate(what, certificate);
  // Alone: another signature on the file does not vouch for this one.
  const alone = appendCertificate(parsePe(removeSignatures(pe)), last.der);
  verifyPe(alone, { db: { certificates: [certificate] } });
  return signed;
}

const isBy = (certificate: Certificate, signer: Certificate | undefined): boolean =>
  signer !== undefined && equalBytes(signer.fingerprint, certificate.fingerprint);

/** One code for what a person can do about it; the reason stays as the cause. */
function translated(what: string, work: () => Uint8Array): Uint8Array {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof SealwrightError) || error.code.startsWith("signing-request.")) throw error;
    if (error.code === "pe.signature.digest-mismatch") {
      const message = `${what}: made over another file than the one in the request: ${error.message}`;
      throw new VerificationError("signing-request.signature-other-file", message, { cause: error });
    }
    throw wrong(what, error.message, error);
  }
}

function wrong(what: string, reason: string, cause?: SealwrightError): VerificationError {
  const options = cause === undefined ? {} : { cause, data: { reason: cause.code } };
  return new VerificationError("signing-request.signature-wrong", `${what}: ${reason}`, options);
}

function otherCertificate(what: string, { fingerprint, subject }: Certificate): VerificationError {
  return new VerificationError(
    "signing-request.signature-other-certificate",
    `${what}: none of the signatures in it is by "${subject}", whose certificate the request names`,
    { data: { expected: toHex(fingerprint) } },
  );
}
