/** The signatures themselves. */
import { createHash } from "node:crypto";
import type { AuditFacts } from "../../formats/audit-log/index.ts";
import {
  fingerprintOf,
  PCR_ROLE,
  type PcrItem,
  type PeItem,
  type RequestItem,
  type SigningRequest,
} from "../../formats/signing-request/index.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { quote, UnsupportedError, UsageError, VerificationError } from "../../lib/errors.ts";
import type { PolicyKey, Signer } from "../../model/signing/index.ts";
import { requireMessageFor } from "../../model/signing-request/index.ts";
import type { JudgedApprovals } from "./approvals.ts";
import { imageName } from "./image-name.ts";

export interface ItemSignature {
  /** Of the item. */
  readonly name: string;
  readonly role: RequestItem["role"];
  /** As `Signer.sign` gives it. */
  readonly signature: Uint8Array;
}

/**
 * Signs every item of a request.
 *
 * @param files unsigned PE files by the name of their item: what is signed is about these bytes, whatever the request says
 * @param pcrKey for PCR policies
 * @throws {UsageError} `signer.missing`; `signing-request.other-signer` when the request asks for another key
 * @throws {VerificationError} `signing-request.to-be-signed`; whatever the signer throws
 */
export async function signItems(
  request: SigningRequest,
  files: ReadonlyMap<string, Uint8Array>,
  signer: Signer | undefined,
  pcrKey?: PolicyKey,
): Promise<ItemSignature[]> {
  for (const item of request.items) {
    if (item.role === PCR_ROLE) requirePolicy(item, pcrKey);
    else requireMessageFor(requireFile(item, files), Buffer.from(item.toBeSigned, "base64"), item.name);
  }
  const signatures: ItemSignature[] = [];
  for (const { name, role, toBeSigned } of request.items) {
    const key = role === PCR_ROLE ? pcrKey : signer && requireSignerOf(request, signer);
    if (key === undefined) {
      throw new UsageError("signer.missing", `no key for ${quote(name)}: expected ${KEY_FLAGS[role]}`, {
        hint: "to look without signing: --dry-run",
      });
    }
    signatures.push({ name, role, signature: await key.sign(Buffer.from(toBeSigned, "base64")) });
  }
  return signatures;
}

const KEY_FLAGS = { "boot-loader": "--key", uki: "--key", addon: "--key", [PCR_ROLE]: "--pcr-key" } as const;

function requireSignerOf({ certificate }: SigningRequest, signer: Signer): Signer {
  const ours = toHex(signer.certificate.fingerprint);
  if (ours === certificate.fingerprint) return signer;
  throw new UsageError(
    "signing-request.other-signer",
    `the request asks for the key of "${certificate.subject}" (${certificate.fingerprint}), this is that of ` +
      `"${signer.certificate.subject}" (${ours})`,
  );
}

/** SHA-256: what policies without reference are. Nothing else is signed as one, a request for a boot least of all. */
const POLICY_SIZE = 32;

function requirePolicy({ name, publicKey, toBeSigned }: PcrItem, key: PolicyKey | undefined): void {
  if (Buffer.from(toBeSigned, "base64").length !== POLICY_SIZE) {
    throw new VerificationError("signing-request.to-be-signed", `${name}: what is to be signed is no PCR policy`);
  }
  if (key === undefined || fingerprintOf(key.publicKey) === publicKey) return;
  const ours = fingerprintOf(key.publicKey);
  throw new UsageError("signing-request.other-signer", `${name}: for the key ${publicKey}, this is ${ours}`);
}

function requireFile({ name, role }: PeItem, files: ReadonlyMap<string, Uint8Array>): Uint8Array {
  const file = files.get(name);
  if (file !== undefined) return file;
  throw new UnsupportedError("signing-request.role", `${quote(name)}: this Sealwright signs no ${role}`);
}

export interface FactsContext {
  readonly request: SigningRequest;
  /** Where the image was read. */
  readonly readFrom: string;
  readonly approvals: JudgedApprovals;
  /** SHA-256 of the policy. */
  readonly policy: string;
}

/** What the audit log keeps of a request that was signed. */
export function signedFacts(context: FactsContext, signatures: readonly ItemSignature[]): AuditFacts {
  const hashes = new Map(signatures.map(({ name, signature }) => [name, sha256(signature)]));
  return { event: "signed", ...commonFacts(context, hashes) };
}

/** What the audit log keeps of a request that was refused. */
export function refusedFacts(
  context: FactsContext,
  { code, message }: { readonly code: string; readonly message: string },
): AuditFacts {
  return { event: "refused", refusal: { code, message: message.slice(0, 1000) }, ...commonFacts(context, new Map()) };
}

function commonFacts(
  { approvals, policy, readFrom, request }: FactsContext,
  signatures: ReadonlyMap<string, string>,
): Omit<AuditFacts, "event" | "refusal"> {
  const { certificate, id, image, items, round, sealed } = request;
  const { manifestDigest, platform, source, target } = image;
  const { imageVersion, os } = sealed;
  return {
    request: id,
    round,
    name: imageName(request),
    image: {
      source,
      ...(readFrom === source ? {} : { readFrom }),
      ...(target === undefined ? {} : { target }),
      manifestDigest,
      platform,
    },
    os: {
      id: os.id,
      ...(os.version === undefined ? {} : { version: os.version }),
      ...(imageVersion === undefined ? {} : { imageVersion }),
    },
    kernel: sealed.kernel,
    ...(sealed.commandLine === undefined ? {} : { commandLine: sealed.commandLine }),
    ...(sealed.digests === undefined ? {} : { digests: sealed.digests }),
    items: items.map((item) => {
      const signature = signatures.get(item.name);
      const digest =
        "authenticodeDigest" in item ? item.authenticodeDigest : sha256(Buffer.from(item.toBeSigned, "base64"));
      return { role: item.role, name: item.name, digest, ...(signature === undefined ? {} : { signature }) };
    }),
    certificate: certificate.fingerprint,
    approvals: approvals.approved.map(({ approval, approver, publicKey }) => ({ approver, publicKey, approval })),
    policy,
  };
}

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
