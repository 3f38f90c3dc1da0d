/** Says what signatures a PE file has. */
import {
  computeAuthenticodeDigest,
  listSignatures,
  type PeSignature,
  type UnreadableSignature,
  verifySignatureTimestamp,
} from "../../formats/authenticode/index.ts";
import { verifySigner } from "../../formats/cms/index.ts";
import { parsePe } from "../../formats/pe/index.ts";
import { type Certificate, showKey } from "../../formats/x509/index.ts";
import { equalBytes, toHex } from "../../lib/bytes/numbers.ts";
import { SealwrightError } from "../../lib/errors.ts";
import { loadPe } from "./pe-file.ts";

/** Facts about a problem, as `--json` has them. */
export interface SignatureProblem {
  readonly code: string;
  readonly message: string;
}

export interface SignatureFacts {
  /** From 1, in the order of the certificate table. */
  readonly number: number;
  /** It is about this file, and the certificate in it signed. Whether anybody trusts that certificate is not said. */
  readonly holds: boolean;
  readonly problem?: SignatureProblem;
  readonly signer?: CertificateFacts;
  /** Other certificates that the signature carries. */
  readonly chain?: readonly CertificateFacts[];
  readonly digestAlgorithm?: string;
  /** As the signer says. */
  readonly signingTime?: string;
  readonly timestamp?: { readonly time: string; readonly authority: string } | SignatureProblem;
  /** Bytes of PKCS #7. */
  readonly size?: number;
}

export interface CertificateFacts {
  readonly subject: string;
  readonly issuer: string;
  readonly serial: string;
  readonly notBefore: string;
  readonly notAfter: string;
  readonly key: string;
  /** SHA-256, lower-case hex. */
  readonly fingerprint: string;
}

export interface SignatureListReport {
  readonly path: string;
  /** Lower-case hex, SHA-256. */
  readonly authenticodeDigest: string;
  readonly signatures: readonly SignatureFacts[];
}

/** @throws {FormatError} `pe.…` when the file is no PE, or its certificate table malformed */
export async function listFileSignatures(path: string): Promise<SignatureListReport> {
  const pe = parsePe(await loadPe(path));
  const digests = new Map<string, Uint8Array>();
  const digestOf = (algorithm: PeSignature["image"]["algorithm"]): Uint8Array => {
    const digest = digests.get(algorithm) ?? computeAuthenticodeDigest(pe, algorithm);
    digests.set(algorithm, digest);
    return digest;
  };
  return {
    path,
    authenticodeDigest: toHex(digestOf("sha256")),
    signatures: listSignatures(pe).map((signature, index) => ({
      number: index + 1,
      ...factsOf(signature, digestOf),
    })),
  };
}

function factsOf(
  signature: PeSignature | UnreadableSignature,
  digestOf: (algorithm: PeSignature["image"]["algorithm"]) => Uint8Array,
): Omit<SignatureFacts, "number"> {
  if (signature.kind === "unreadable") return { holds: false, problem: toProblem(signature.problem) };
  const { data, der, image, signer, signingTime } = signature;
  const problem = problemOf(signature, digestOf(image.algorithm));
  const timestamp = timestampOf(signature);
  return {
    holds: problem === undefined,
    ...(problem === undefined ? {} : { problem }),
    ...(signer === undefined ? {} : { signer: certificateFacts(signer) }),
    chain: data.certificates.filter((one) => one !== signer).map(certificateFacts),
    digestAlgorithm: image.algorithm,
    ...(signingTime === undefined ? {} : { signingTime: signingTime.toISOString() }),
    ...(timestamp === undefined ? {} : { timestamp }),
    size: der.length,
  };
}

function problemOf({ content, data, image }: PeSignature, digest: Uint8Array): SignatureProblem | undefined {
  if (!equalBytes(image.digest, digest)) {
    const message = `it is about another file: found digest ${toHex(image.digest)}, expected ${toHex(digest)}`;
    return { code: "pe.signature.digest-mismatch", message };
  }
  return attempt(() => {
    verifySigner(data, content);
    return undefined;
  });
}

function timestampOf(signature: PeSignature): SignatureFacts["timestamp"] {
  return attempt(() => {
    const evidence = verifySignatureTimestamp(signature);
    return evidence && { time: evidence.time.toISOString(), authority: evidence.authority.subject };
  });
}

/** What it gives, or what it is refused with. */
function attempt<T>(work: () => T): T | SignatureProblem {
  try {
    return work();
  } catch (error) {
    if (error instanceof SealwrightError) return toProblem(error);
    throw error;
  }
}

function toProblem({ code, message }: SealwrightError): SignatureProblem {
  return { code, message };
}

function certificateFacts(certificate: Certificate): CertificateFacts {
  const { fingerprint, issuer, notAfter, notBefore, publicKey, serial, subject } = certificate;
  const validity = { notBefore: notBefore.toISOString(), notAfter: notAfter.toISOString() };
  return { subject, issuer, serial, ...validity, key: showKey(publicKey.facts), fingerprint: toHex(fingerprint) };
}
