import { createHash, hash } from "node:crypto";
import { UsageError } from "../../lib/errors.ts";
import { MEASURED_SECTIONS } from "./layout.ts";
import type { UkiSection } from "./section.ts";

/** The PCR that a UKI measures itself into. */
export const KERNEL_PCR = 11;

/** PCR banks by their node:crypto name; TPM 2.0 Part 2 section 6.3, TPM_ALG_ID. */
export const PCR_BANKS = {
  sha1: { algorithm: 0x0004, size: 20 },
  sha256: { algorithm: 0x000b, size: 32 },
  sha384: { algorithm: 0x000c, size: 48 },
  sha512: { algorithm: 0x000d, size: 64 },
} as const;
export type PcrBank = keyof typeof PCR_BANKS;

/** Words that systemd-pcrphase extends as the boot goes on; a phase path joins them with ":". */
export const BOOT_PHASES = ["enter-initrd", "leave-initrd", "sysinit", "ready", "shutdown", "final"] as const;

/** The phase paths of a running system, which systemd-measure takes when told none. */
export const DEFAULT_PHASE_PATHS: readonly string[] = [1, 2, 3, 4].map((count) =>
  BOOT_PHASES.slice(0, count).join(":"),
);

/** Digests of section contents, by bank: a kernel is hashed once for all phases, profiles and devicetrees. */
export class SectionDigests {
  readonly #known = new Map<PcrBank, WeakMap<UkiSection, Buffer>>();

  of(section: UkiSection, bank: PcrBank): Buffer {
    const known = this.#known.get(bank) ?? new WeakMap<UkiSection, Buffer>();
    this.#known.set(bank, known);
    const digest = known.get(section) ?? digestParts(section.content, bank);
    known.set(section, digest);
    return digest;
  }
}

export interface Pcr11Options {
  /** Words joined with ":"; empty for the value that the stub leaves. */
  readonly phasePath?: string;
  /** Major version of the stub, since older ones measure fewer sections. Default: all. */
  readonly stubVersion?: number;
  readonly digests?: SectionDigests;
}

/**
 * Predicts PCR 11 for the sections that the stub will select, in any order; at most one `.dtbauto` and `.efifw`.
 *
 * @throws {UsageError} `uki.pcr.phase` for a word that systemd-pcrphase does not know
 * @see systemd-measure(1); systemd-stub(7), "TPM PCR Notes"
 */
export function computePcr11(sections: readonly UkiSection[], bank: PcrBank, options: Pcr11Options = {}): Uint8Array {
  const { phasePath = "", stubVersion = Number.POSITIVE_INFINITY, digests = new SectionDigests() } = options;
  let value: Buffer = Buffer.alloc(PCR_BANKS[bank].size);
  const extend = (digest: Buffer): void => {
    value = hash(bank, Buffer.concat([value, digest]), "buffer");
  };
  for (const { name, since } of MEASURED_SECTIONS) {
    const section = sections.find((candidate) => candidate.name === name);
    if (section === undefined || since > stubVersion || section.content.every((part) => part.length === 0)) continue;
    extend(hash(bank, Buffer.from(`${name}\0`), "buffer"));
    extend(digests.of(section, bank));
  }
  for (const word of parsePhasePath(phasePath)) extend(hash(bank, Buffer.from(word), "buffer"));
  return value;
}

/** @throws {UsageError} `uki.pcr.phase` */
export function parsePhasePath(phasePath: string): string[] {
  const words = phasePath.split(":").filter((word) => word !== "");
  const unknown = words.find((word) => !(BOOT_PHASES as readonly string[]).includes(word));
  if (unknown !== undefined) {
    const known = BOOT_PHASES.join(", ");
    throw new UsageError(
      "uki.pcr.phase",
      `boot phase ${JSON.stringify(unknown.slice(0, 80))}: expected one of ${known}`,
    );
  }
  return words;
}

/**
 * The digest of a TPM policy that asks PCR 11 of `bank` to have `value`. Always SHA-256, whatever the bank.
 *
 * @see TPM 2.0 Part 3, TPM2_PolicyPCR
 */
export function computePcrPolicyDigest(value: Uint8Array, bank: PcrBank): Uint8Array {
  const TPM_CC_PolicyPCR = 0x0000_017f;
  const head = Buffer.alloc(32 + 4 + 4 + 2 + 1 + 3);
  head.writeUInt32BE(TPM_CC_PolicyPCR, 32);
  head.writeUInt32BE(1, 36); // TPML_PCR_SELECTION: one bank
  head.writeUInt16BE(PCR_BANKS[bank].algorithm, 40);
  head.writeUInt8(3, 42); // bytes of the bit mask, least significant PCRs first
  head.writeUInt8(1 << (KERNEL_PCR % 8), 43 + Math.floor(KERNEL_PCR / 8));
  return hash("sha256", Buffer.concat([head, hash("sha256", value, "buffer")]), "buffer");
}

function digestParts(parts: readonly Uint8Array[], bank: PcrBank): Buffer {
  const digest = createHash(bank);
  for (const part of parts) digest.update(part);
  return digest.digest();
}
