/** PCR policies of a planned UKI as items of a request, and their signatures as what signs them. */
import { createHash, createPublicKey } from "node:crypto";
import type { PcrItem } from "../../formats/signing-request/index.ts";
import { DEFAULT_PHASE_PATHS, findSection, type PcrBank, parsePcrPolicies, parseUki } from "../../formats/uki/index.ts";
import { isSignedWith, parsePublicKey } from "../../formats/x509/index.ts";
import { fromHex, toHex } from "../../lib/bytes/numbers.ts";
import { FormatError, quote, VerificationError } from "../../lib/errors.ts";
import type { SealPcr } from "./plan.ts";

/** A statement about PCR 11 with its signature. */
export interface SignedPolicy {
  readonly signed: Uint8Array;
  /** RSASSA-PKCS1-v1_5 with SHA-256. */
  readonly signature: Uint8Array;
}

/** Every policy in a UKI that was built to have them signed. */
export function listPcrItems(uki: Uint8Array, pcr: SealPcr): PcrItem[] {
  const section = findSection(parseUki(uki), ".pcrsig") ?? new Uint8Array();
  const policies = Object.entries(parsePcrPolicies(section));
  const publicKey = createHash("sha256").update(spkiOf(pcr)).digest("hex");
  return policies.flatMap(([bank, list]) =>
    list.map(({ tbs = "" }, index) => ({
      role: "pcr-policy" as const,
      name: `pcr11-${bank}-${index + 1}`,
      toBeSigned: Buffer.from(fromHex(tbs, "PCR policy", "uki.pcrsig.json")).toString("base64"),
      bank: bank as PcrBank,
      phases: DEFAULT_PHASE_PATHS[index] ?? "",
      publicKey,
    })),
  );
}

/**
 * The same key, whose signatures were made before.
 *
 * @throws {VerificationError} `signing-request.signature-wrong`, when the UKI is built and one of them is not right;
 *   `signing-request.differs` when one is for another UKI
 */
export function withSignatures(pcr: SealPcr, signatures: readonly SignedPolicy[]): SealPcr {
  const key = parsePublicKey(spkiOf(pcr));
  const known = new Map(signatures.map(({ signature, signed }) => [toHex(signed), signature]));
  const sign = async (message: Uint8Array): Promise<Uint8Array> => {
    const signature = known.get(toHex(message));
    if (signature === undefined) {
      throw new VerificationError("signing-request.differs", "the image gives a PCR policy that was not signed before");
    }
    requirePolicySignature(key, message, signature, "PCR policy");
    return signature;
  };
  return { ...pcr, signing: { ...pcr.signing, sign } };
}

/** @throws {VerificationError} `signing-request.signature-wrong` */
export function requirePolicySignature(
  key: ReturnType<typeof parsePublicKey>,
  message: Uint8Array,
  signature: Uint8Array,
  what: string,
): void {
  if (isSignedWith(key, "sha256", message, signature)) return;
  throw new VerificationError(
    "signing-request.signature-wrong",
    `signature ${quote(what)}: it was not made by the key of the PCR policies`,
  );
}

/**
 * The key of a request.
 *
 * @throws {FormatError} `signing-request.malformed`
 */
export function toSealPcr(publicKeyPem: Uint8Array): SealPcr {
  try {
    return { publicKeyPem, signing: { publicKey: createPublicKey({ key: Buffer.from(publicKeyPem), format: "pem" }) } };
  } catch (cause) {
    const what = "signing request: seal.pcrPublicKey";
    const mismatch = { what, expected: "a public key in PEM", found: "other data" };
    throw new FormatError("signing-request.malformed", mismatch, { cause });
  }
}

export const spkiOf = ({ signing }: SealPcr): Uint8Array => signing.publicKey.export({ type: "spki", format: "der" });
