import { createHash } from "node:crypto";
import { EVENT_TYPES, type EventLog, extendPcr, parseEventLog, replayEventLog } from "../../formats/eventlog/index.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { VerificationError } from "../../lib/errors.ts";
import { loadHostFile, loadHostText } from "./host-file.ts";

/** What was measured while a machine started. */
export interface MeasuredBoot {
  readonly eventLog: Uint8Array;
  /** Bank SHA-256: lower-case hex by number. */
  readonly pcrs: ReadonlyMap<number, string>;
}

const BANK = "sha256";
/** Where firmware measures what it starts. */
const BOOT_PCR = 4;
/** Measured before any user space: what starts, and the keys that allow it. */
const REPLAYED_PCRS = [BOOT_PCR, 7];

const EVENT_LOG = "sys/kernel/security/tpm0/binary_bios_measurements";
const PCRS = "sys/class/tpm/tpm0/pcr-sha256";
const MAX_LOG_SIZE = 16 << 20;

/** @returns `undefined` on a machine without TPM, or whose firmware left no log */
export async function loadMeasuredBoot(root: string): Promise<MeasuredBoot | undefined> {
  const eventLog = await loadHostFile(root, EVENT_LOG, MAX_LOG_SIZE);
  if (eventLog === undefined) return undefined;
  const pcrs = new Map<number, string>();
  for (let pcr = 0; pcr < 24; pcr++) {
    const value = await loadHostText(root, `${PCRS}/${pcr}`, 4096);
    if (value !== undefined) pcrs.set(pcr, value.trim().toLowerCase());
  }
  return { eventLog, pcrs };
}

export interface ReplayedBoot {
  readonly log: EventLog;
  /** Authenticode digests of the programs that firmware started, in order, lower-case hex. */
  readonly started: readonly string[];
}

/**
 * Replays an event log, which gives the PCRs of the TPM; only then it says what was started.
 *
 * @throws {VerificationError} `seal.event-log.replay`
 * @throws {FormatError} `eventlog.…`
 */
export function replayMeasuredBoot({ eventLog, pcrs }: MeasuredBoot): ReplayedBoot {
  const log = parseEventLog(eventLog);
  const values = replayEventLog(log, BANK);
  const other = REPLAYED_PCRS.find((pcr) => !isReached(values[pcr] ?? new Uint8Array(), pcrs.get(pcr)));
  if (other !== undefined) {
    throw new VerificationError("seal.event-log.replay", `its replay does not give PCR ${other} of the TPM`);
  }
  const started = log.events
    .filter(({ pcr, type }) => pcr === BOOT_PCR && type === EVENT_TYPES.EV_EFI_BOOT_SERVICES_APPLICATION)
    .map(({ digests }) => toHex(digests.get(BANK) ?? new Uint8Array()));
  return { log, started };
}

/** systemd from version 261 on closes what came before it with a measurement of its own, which is in another log. */
const OS_SEPARATOR = createHash(BANK).update("os-separator").digest();

function isReached(value: Uint8Array, live: string | undefined): boolean {
  return live === toHex(value) || live === toHex(extendPcr(BANK, value, OS_SEPARATOR));
}
