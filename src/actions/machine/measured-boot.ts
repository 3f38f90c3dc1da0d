import { toHex } from "../../lib/bytes/numbers.ts";
import { SealwrightError } from "../../lib/errors.ts";
import { type ReplayedBoot, replayMeasuredBoot } from "../../model/host/index.ts";
import type { GuestReport } from "./guest-check.ts";
import type { Check } from "./seal-checks.ts";
import type { SealedDisk } from "./sealed-disk.ts";

/**
 * Judges the event log of a boot: its replay gives the PCRs of the TPM, and what PCR 4 says was started is the boot
 * loader, the UKI of the disk and its addons, and nothing else.
 *
 * @returns no check for a machine without a TPM
 */
export function checkMeasurements({ eventLog, pcrs }: GuestReport, disk: SealedDisk): Check[] {
  if (eventLog === undefined) return [];
  const base = { name: "event-log", title: "event log" } as const;
  const broken = (code: string, detail: string): Check[] => [{ ...base, status: "broken", code, detail }];
  let replayed: ReplayedBoot;
  try {
    replayed = replayMeasuredBoot({ eventLog, pcrs });
  } catch (error) {
    if (!(error instanceof SealwrightError)) throw error;
    return broken(error.code, error.message);
  }
  const { started } = replayed;
  const { addons = [] } = disk;
  const expected = [disk.bootLoader, disk.uki, ...addons].map(({ digest }) => toHex(digest));
  if (started.join() !== expected.join()) {
    return broken(
      "seal.event-log.programs",
      `started: ${started.map((hex) => hex.slice(0, 16)).join(", ") || "nothing"}`,
    );
  }
  const companions = addons.length === 0 ? "" : ` with ${addons.length} of its addons`;
  const detail = `replays to PCR 4 and 7; started ${disk.bootLoader.path} and the UKI${companions}, nothing else`;
  return [{ ...base, status: "holds", detail }];
}
