import { listSignatures } from "../../formats/authenticode/index.ts";
import { type Pe, parsePe } from "../../formats/pe/index.ts";
import { toHex } from "../../lib/bytes/numbers.ts";

/** Whom a signature names; nothing is verified. */
export interface ProgramSignature {
  /** Absent when the certificate is not in the signature. */
  readonly subject: string | undefined;
  /** SHA-256 of the certificate, lower-case hex. */
  readonly fingerprint: string | undefined;
  /** Why it counts for nothing. */
  readonly unreadable?: string;
}

/** @throws {FormatError} `pe.…` */
export function signaturesOf(program: Pe | Uint8Array): ProgramSignature[] {
  const pe = program instanceof Uint8Array ? parsePe(program) : program;
  return listSignatures(pe).map((signature) => {
    if (signature.kind === "unreadable") {
      return { subject: undefined, fingerprint: undefined, unreadable: signature.problem.code };
    }
    const { signer } = signature;
    return { subject: signer?.subject, fingerprint: signer && toHex(signer.fingerprint) };
  });
}
