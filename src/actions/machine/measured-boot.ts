import { createHash } from "node:crypto";
import { EVENT_TYPES, type EventLog, extendPcr, parseEventLog, replayEventLog } from "../../formats/eventlog/index.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { SealwrightError } from "../../lib/errors.ts";
import type { GuestReport } from "./guest-check.ts";
import type { Check } from "./seal-checks.ts";
import type { SealedDisk } from "./sealed-disk.ts";

const BANK = "sha256";
/** Where firmware measures what it starts. */
const BOOT_PCR = 4;
/** Measured before any user space: what starts, and the keys that allow it. */
const PCRS = [BOOT_PCR, 7];

/**
 * Judges the event log of a boot: its replay gives the PCRs of the TPM, and what PCR 4 says was started is the boot
 * loader and the UKI of the disk, and nothing else.
 *
 * @returns no check for a machine without a TPM
 */
export function checkMeasurements({ eventLog, pcrs }: GuestReport, disk: SealedDisk): Check[] {
  if (eventLog === undefined) return [];
  const base = { name: "event-log", title: "event log" } as const;
  const broken = (code: string, detail: string): Check[] => [{ ...base, status: "broken", code, detail }];
  let log: EventLog;
  let values: readonly Uint8Array[];
  try {
    log = parseEventLog(eventLog);
    values = replayEventLog(log, BANK);
  } catch (error) {
    if (!(error instanceof SealwrightError)) throw error;
    return broken(error.code, error.message);
  }
  const other = PCRS.find((pcr) => !isReached(values[pcr] ?? new Uint8Array(), pcrs.get(pcr)));
  if (other !== undefined) return broken("seal.event-log.replay", `its replay does not give PCR ${other} of the TPM`);
  const started = startedPrograms(log);
  const expected = [disk.bootLoader, disk.uki].map(({ digest }) => toHex(digest));
  if (started.join() !== expected.join()) {
    return broken(
      "seal.event-log.programs",
      `started: ${started.map((hex) => hex.slice(0, 16)).join(", ") || "nothing"}`,
    );
  }
  const detail = `replays to PCR 4 and 7; started ${disk.bootLoader.path} and the UKI, nothing else`;
  return [{ ...base, status: "holds", detail }];
}

/** systemd from version 261 on closes what came before it with a measurement of its own, which is in another log. */
const OS_SEPARATOR = createHash(BANK).update("os-separator").digest();

function isReached(value: Uint8Array, live: string | undefined): boolean {
  return live === toHex(value) || live === toHex(extendPcr(BANK, value, OS_SEPARATOR));
}

function startedPrograms({ events }: EventLog): string[] {
  return events
    .filter(({ pcr, type }) => pcr === BOOT_PCR && type === EVENT_TYPES.EV_EFI_BOOT_SERVICES_APPLICATION)
    .map(({ digests }) => toHex(digests.get(BANK) ?? new Uint8Array()));
}
