/** Whether a machine starts drivers that the new db would no longer allow. */
import { listOptionRoms, type OptionRom, parseEventLog } from "../../formats/eventlog/index.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { PolicyError } from "../../lib/errors.ts";
import { loadMeasuredBoot } from "../../model/host/index.ts";

export interface OptionRomCheck {
  /** False without TPM or event log: then nobody knows. */
  readonly known: boolean;
  readonly optionRoms: readonly OptionRom[];
}

export interface OptionRomPolicy {
  /** db will have Microsoft's certificates, which sign option ROMs. */
  readonly microsoft: boolean;
  /** db will have their digests. */
  readonly byDigest: boolean;
  /** Go on all the same. */
  readonly force: boolean;
}

/** @throws {FormatError} `eventlog.…`, `host.…` */
export async function findOptionRoms(root: string): Promise<OptionRomCheck> {
  const measured = await loadMeasuredBoot(root);
  if (measured === undefined) return { known: false, optionRoms: [] };
  return { known: true, optionRoms: listOptionRoms(parseEventLog(measured.eventLog)) };
}

/**
 * A graphics card whose option ROM does not start shows nothing, and a boot disk behind such a controller is not found.
 *
 * @throws {PolicyError} `enrol.option-roms` when db would not allow those that are there, `enrol.option-roms-unknown` when
 *   there is no event log to tell
 */
export function requireOptionRoms(check: OptionRomCheck, { byDigest, force, microsoft }: OptionRomPolicy): void {
  if (force || microsoft) return;
  const hint = "--microsoft allows what Microsoft signed, --allow-option-roms these alone; --force goes without";
  if (!check.known) {
    const message = "no event log says whether this machine starts option ROMs, which one's own keys do not allow";
    throw new PolicyError("enrol.option-roms-unknown", message, { hint });
  }
  if (check.optionRoms.length === 0 || byDigest) return;
  const where = check.optionRoms.map(({ devicePath }) => devicePath);
  throw new PolicyError(
    "enrol.option-roms",
    `this machine starts ${where.length} option ${where.length === 1 ? "ROM" : "ROMs"} (${where.join(", ")}), which the new db does not allow`,
    { hint, data: { optionRoms: check.optionRoms.map(describeOptionRom) } },
  );
}

export function describeOptionRom({ devicePath, digests }: OptionRom): { devicePath: string; sha256?: string } {
  const sha256 = digests.get("sha256");
  return { devicePath, ...(sha256 === undefined ? {} : { sha256: toHex(sha256) }) };
}
