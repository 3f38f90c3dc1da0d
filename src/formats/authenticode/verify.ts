import { createHash } from "node:crypto";
import { equalBytes, toHex } from "../../lib/bytes/numbers.ts";
import { FormatError, SealwrightError, VerificationError } from "../../lib/errors.ts";
import { findChain, verifySigner } from "../cms/index.ts";
import type { NamedHash, SignatureDatabase } from "../esl/index.ts";
import { type Pe, parsePe } from "../pe/index.ts";
import type { Certificate, HashName } from "../x509/index.ts";
import { computeAuthenticodeDigest } from "./digest.ts";
import { listSignatures, type PeSignature, type UnreadableSignature } from "./list.ts";

export interface FirmwarePolicy {
  /** What may start. */
  readonly db: SignatureDatabase;
  /** What may not, whoever else vouches for it. */
  readonly dbx?: SignatureDatabase;
}

/** Why firmware would start an image. */
export type PeEvidence = {
  readonly algorithm: HashName;
  /** Authenticode digest. */
  readonly digest: Uint8Array;
} & (
  | {
      readonly by: "certificate";
      /** Position among the signatures, from 0. */
      readonly index: number;
      /** Signer first, the certificate of db last; one and the same when db has the signer. */
      readonly chain: readonly Certificate[];
      readonly signer: Certificate;
      readonly trusted: Certificate;
    }
  | { readonly by: "hash" }
);

/** Why a signature did not count; the one that came nearest to starting the image is reported. */
const REFUSALS = [
  "pe.signature.revoked",
  "pe.signature.untrusted",
  "pe.signature.digest-mismatch",
  "pe.signature.invalid",
] as const;

/**
 * Verifies that firmware would start an image under Secure Boot, by the rules of edk2.
 *
 * One good signature is enough, but one that dbx revokes condemns the image. A db certificate may be the signer's or
 * that of an authority above it. Validity times and extended key usage do not count. The image digest in db allows,
 * in dbx forbids.
 *
 * @returns what it starts for
 * @throws {VerificationError} `pe.certificate-table.malformed`, `pe.signature.absent`, `pe.signature.revoked`,
 *   `pe.signature.untrusted`, `pe.signature.digest-mismatch`, `pe.signature.invalid`; of several signatures the one
 *   that came nearest decides
 * @throws {FormatError} `pe.…` when `file` is not a PE file
 * @see UEFI 2.10 §32.5.3.3; edk2 SecurityPkg/Library/DxeImageVerificationLib
 */
export function verifyPe(file: Pe | Uint8Array, { db, dbx = { certificates: [] } }: FirmwarePolicy): PeEvidence {
  const { pe, signatures } = readTable(file);
  const digests = new ImageDigests(pe);

  const forbidden = dbx.imageHashes?.find((entry) => digests.is(entry));
  if (forbidden !== undefined) throw revoked(`dbx lists its digest ${toHex(forbidden.hash)}`);

  const verdicts = signatures.map((signature, index) => judge(signature, index, digests, db, dbx));
  const refusals = verdicts.filter((verdict) => verdict instanceof VerificationError);
  const condemned = refusals.find(({ code }) => code === "pe.signature.revoked");
  if (condemned !== undefined) throw condemned;

  const evidence = verdicts.find((verdict): verdict is PeEvidence => !(verdict instanceof VerificationError));
  if (evidence !== undefined) return evidence;

  const usable = signatures.flatMap((one) => (one.kind === "authenticode" ? [one.image.algorithm] : []));
  const algorithms: readonly HashName[] = signatures.length === 0 ? ["sha256"] : usable;
  const allowed = db.imageHashes?.find((entry) => algorithms.includes(entry.algorithm) && digests.is(entry));
  if (allowed !== undefined) return { by: "hash", algorithm: allowed.algorithm, digest: allowed.hash };

  const nearest = REFUSALS.map((code) => refusals.find((refusal) => refusal.code === code)).find(isPresent);
  throw nearest ?? absent();
}

function isPresent<T>(value: T | undefined): value is T {
  return value !== undefined;
}

function readTable(file: Pe | Uint8Array): { pe: Pe; signatures: (PeSignature | UnreadableSignature)[] } {
  try {
    const pe = file instanceof Uint8Array ? parsePe(file) : file;
    return { pe, signatures: listSignatures(pe) };
  } catch (error) {
    if (!(error instanceof FormatError) || !error.code.startsWith("pe.certificates.")) throw error;
    throw new VerificationError("pe.certificate-table.malformed", error.message, { cause: error });
  }
}

/** The digests of one image, each computed once. */
class ImageDigests {
  readonly #pe: Pe;
  readonly #known = new Map<HashName, Uint8Array>();

  constructor(pe: Pe) {
    this.#pe = pe;
  }

  of(algorithm: HashName): Uint8Array {
    const digest = this.#known.get(algorithm) ?? computeAuthenticodeDigest(this.#pe, algorithm);
    this.#known.set(algorithm, digest);
    return digest;
  }

  is({ algorithm, hash }: NamedHash): boolean {
    return equalBytes(this.of(algorithm), hash);
  }
}

/** The order of trust for one signature: the image is the signed one, the signer signed, nobody revoked, db trusts. */
function judge(
  signature: PeSignature | UnreadableSignature,
  index: number,
  digests: ImageDigests,
  db: SignatureDatabase,
  dbx: SignatureDatabase,
): PeEvidence | VerificationError {
  if (signature.kind === "unreadable") return invalid(signature.problem);
  const { data, content, image } = signature;
  const digest = digests.of(image.algorithm);
  if (!equalBytes(digest, image.digest)) {
    const message = `image digest: found ${toHex(digest)}, signed ${toHex(image.digest)}`;
    return new VerificationError("pe.signature.digest-mismatch", message);
  }
  let signer: Certificate;
  try {
    signer = verifySigner(data, content);
  } catch (problem) {
    if (problem instanceof SealwrightError) return invalid(problem);
    throw problem;
  }
  const chain = findChain(signer, data.certificates, db.certificates);
  if (isRevoked(signer, chain ?? [signer], data.certificates, dbx)) {
    return revoked(`dbx revokes its signer "${signer.subject}"`);
  }
  if (chain === undefined) return untrusted(signer);
  const trusted = chain.at(-1) ?? signer;
  return { by: "certificate", algorithm: image.algorithm, digest, index, chain, signer, trusted };
}

function isRevoked(
  signer: Certificate,
  chain: readonly Certificate[],
  embedded: readonly Certificate[],
  dbx: SignatureDatabase,
): boolean {
  if (findChain(signer, embedded, dbx.certificates) !== undefined) return true;
  return chain.some(({ tbs }) =>
    dbx.certificateHashes?.some(({ algorithm, hash }) => equalBytes(createHash(algorithm).update(tbs).digest(), hash)),
  );
}

function absent(): VerificationError {
  return new VerificationError("pe.signature.absent", "the image has no signature, and db does not list its digest");
}

function revoked(reason: string): VerificationError {
  return new VerificationError("pe.signature.revoked", `the image is revoked: ${reason}`);
}

function untrusted({ subject, issuer, fingerprint }: Certificate): VerificationError {
  const message = `signed by "${subject}", issued by "${issuer}": db has neither`;
  return new VerificationError("pe.signature.untrusted", message, {
    data: { subject, issuer, fingerprint: toHex(fingerprint) },
  });
}

/** @param problem its code is kept as `reason` */
function invalid(problem: SealwrightError): VerificationError {
  const data = { ...problem.data, reason: problem.code };
  return new VerificationError("pe.signature.invalid", problem.message, { cause: problem, data });
}
