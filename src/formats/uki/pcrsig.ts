import { hash, type KeyObject } from "node:crypto";
import { toHex } from "../../lib/bytes/numbers.ts";
import { FormatError } from "../../lib/errors.ts";
import {
  computePcr11,
  computePcrPolicyDigest,
  DEFAULT_PHASE_PATHS,
  KERNEL_PCR,
  PCR_BANKS,
  type PcrBank,
  SectionDigests,
} from "./pcr11.ts";
import { makeSection, type UkiSection } from "./section.ts";

/** One signed, or to be signed, statement "PCR 11 may have this value". */
export interface PcrPolicy {
  readonly pcrs: readonly number[];
  /** SHA-256 of the PKCS#1 RSAPublicKey, hex. */
  readonly pkfp: string;
  readonly ref?: string;
  /** Policy digest, hex. */
  readonly pol: string;
  /** What is to be signed, hex; only in what is prepared for signing elsewhere. */
  readonly tbs?: string;
  /** RSASSA-PKCS1-v1_5 over SHA-256, base64. */
  readonly sig?: string;
}

/** The content of `.pcrsig`, and of `tpm2-pcr-signature.json`. */
export type PcrPolicies = { readonly [bank in PcrBank]?: readonly PcrPolicy[] };

/** Who signs which phases. */
export interface PcrSigning {
  /** RSA, as systemd's TPM policies require. */
  readonly publicKey: KeyObject;
  /** @returns RSASSA-PKCS1-v1_5 with SHA-256 over `message`; absent: the policies are prepared, not signed */
  readonly sign?: (message: Uint8Array) => Promise<Uint8Array>;
  /** Default: the four of a running system. */
  readonly phasePaths?: readonly string[];
  /** Policy reference: a signature for one use is no signature for another. */
  readonly policyRef?: string;
}

/** The extra signature of `--sign-initrd-pcrs`, good only until the initrd is left. */
export const INITRD_PCR_POLICY = { phasePaths: ["enter-initrd"], policyRef: "initrd" } as const;

export interface PcrPolicyOptions {
  /** Default: all four. */
  readonly banks?: readonly PcrBank[];
  readonly stubVersion?: number;
  readonly digests?: SectionDigests;
}

/**
 * Predicts PCR 11 and signs it, for each selection of sections that a machine may boot.
 *
 * @param variants the sections of each selection: one for every `.dtbauto`
 * @throws {UsageError} `uki.pcr.phase`
 * @throws {FormatError} `uki.pcr.key-type`
 * @see systemd-measure(1), "sign"; ukify(1), `--pcr-private-key=`
 */
export async function signPcrPolicies(
  variants: readonly (readonly UkiSection[])[],
  signings: readonly PcrSigning[],
  options: PcrPolicyOptions = {},
): Promise<PcrPolicies> {
  const { digests = new SectionDigests(), stubVersion } = options;
  // systemd-measure sorts banks and phase paths, and drops repetitions.
  const banks = (Object.keys(PCR_BANKS) as PcrBank[]).filter((bank) => options.banks?.includes(bank) ?? true);
  const policies = new Map<PcrBank, PcrPolicy[]>();
  for (const sections of variants) {
    for (const signing of signings) {
      const pkfp = fingerprint(signing.publicKey);
      const phasePaths = signing.phasePaths ? [...new Set(signing.phasePaths)].sort() : DEFAULT_PHASE_PATHS;
      for (const phasePath of phasePaths) {
        for (const bank of banks) {
          const predict = { phasePath, digests, ...(stubVersion === undefined ? {} : { stubVersion }) };
          const pol = computePcrPolicyDigest(computePcr11(sections, bank, predict), bank);
          addPolicy(policies, bank, await makePolicy(pol, pkfp, signing));
        }
      }
    }
  }
  return Object.fromEntries(policies);
}

/** Joins policies of several images or profiles; the same policy is kept once. */
export function joinPcrPolicies(all: readonly PcrPolicies[]): PcrPolicies {
  const joined = new Map<PcrBank, PcrPolicy[]>();
  for (const policies of all) {
    for (const [bank, list] of Object.entries(policies) as [PcrBank, readonly PcrPolicy[]][]) {
      for (const policy of list) addPolicy(joined, bank, policy);
    }
  }
  return Object.fromEntries(joined);
}

/** Bytes kept free for each signature made elsewhere: an RSA-4096 signature has 684 characters. */
const ROOM_FOR_SIGNATURE = 1024;

/** The `.pcrsig` section. Policies without a signature get room behind the JSON, so that they can be signed later. */
export function makePcrSignatureSection(policies: PcrPolicies): UkiSection {
  const unsigned = Object.values(policies)
    .flat()
    .filter((policy) => policy?.sig === undefined).length;
  return makeSection(".pcrsig", Buffer.from(encodePcrPolicies(policies) + " ".repeat(ROOM_FOR_SIGNATURE * unsigned)));
}

/** JSON with the spaces that Python's `json.dumps` writes, in ASCII: what ukify stores. */
export function encodePcrPolicies(policies: PcrPolicies): string {
  return spacedJson(policies).replaceAll(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function spacedJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(spacedJson).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([key, item]) => `${JSON.stringify(key)}: ${spacedJson(item)}`)
    .join(", ")}}`;
}

function addPolicy(policies: Map<PcrBank, PcrPolicy[]>, bank: PcrBank, policy: PcrPolicy): void {
  const list = policies.get(bank) ?? [];
  policies.set(bank, list);
  const text = JSON.stringify(policy);
  if (!list.some((known) => JSON.stringify(known) === text)) list.push(policy);
}

async function makePolicy(pol: Uint8Array, pkfp: string, signing: PcrSigning): Promise<PcrPolicy> {
  const { policyRef, sign } = signing;
  const ref = policyRef === undefined ? new Uint8Array(0) : hash("sha256", Buffer.from(policyRef), "buffer");
  const tbs = Buffer.concat([pol, ref]);
  const policy = {
    pcrs: [KERNEL_PCR],
    pkfp,
    ...(policyRef === undefined ? {} : { ref: policyRef }),
    pol: toHex(pol),
  };
  if (sign === undefined) return { ...policy, tbs: toHex(tbs) };
  return { ...policy, sig: Buffer.from(await sign(tbs)).toString("base64") };
}

function fingerprint(publicKey: KeyObject): string {
  if (publicKey.asymmetricKeyType !== "rsa") {
    throw new FormatError("uki.pcr.key-type", {
      what: "PCR policy key",
      expected: "an RSA key",
      found: publicKey.asymmetricKeyType ?? publicKey.type,
    });
  }
  return hash("sha256", publicKey.export({ type: "pkcs1", format: "der" }));
}
