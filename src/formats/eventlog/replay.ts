import { createHash } from "node:crypto";
import { FormatError } from "../../lib/errors.ts";
import {
  DYNAMIC_PCRS,
  EVENT_TYPES,
  HASH_ALGORITHMS,
  type HashAlgorithm,
  PCR_COUNT,
  STARTUP_LOCALITY,
} from "./layout.ts";
import type { EventLog, LogEvent } from "./read.ts";

/**
 * Computes the values that PCRs have when exactly the events of a log were measured.
 *
 * @returns values by number of the PCR
 * @throws {FormatError} `eventlog.no-bank` when the log has no digests for this bank
 * @see TCG PC Client Platform Firmware Profile 1.06 §10.4.5.3 for the locality; TPM 2.0 part 1 §17 for the rest
 */
export function replayEventLog(log: EventLog, algorithm: HashAlgorithm): Uint8Array[] {
  if (!log.algorithms.includes(algorithm)) {
    throw new FormatError("eventlog.no-bank", {
      what: "event log: banks",
      expected: algorithm,
      found: log.algorithms.join(", "),
    });
  }
  const { size } = HASH_ALGORITHMS[algorithm];
  const pcrs: Uint8Array[] = Array.from({ length: PCR_COUNT }, (_, pcr) => new Uint8Array(size).fill(startOf(pcr)));
  for (const event of log.events) {
    const locality = startupLocality(event);
    if (locality !== undefined) pcrs[0]?.fill(locality, -1);
    if (event.type === EVENT_TYPES.EV_NO_ACTION) continue;
    const value = pcrs[event.pcr] ?? new Uint8Array(size);
    pcrs[event.pcr] = extendPcr(algorithm, value, event.digests.get(algorithm) ?? new Uint8Array(size));
  }
  return pcrs;
}

/** What a PCR becomes when a digest is measured into it (TPM 2.0 part 1 §17.2). */
export function extendPcr(algorithm: HashAlgorithm, value: Uint8Array, digest: Uint8Array): Uint8Array {
  return createHash(algorithm).update(value).update(digest).digest();
}

function startOf(pcr: number): number {
  const [first, last] = DYNAMIC_PCRS;
  return pcr >= first && pcr <= last ? 0xff : 0;
}

/** PCR 0 starts with the locality that the TPM was started from, when the log says so. */
function startupLocality({ data, pcr, type }: LogEvent): number | undefined {
  if (type !== EVENT_TYPES.EV_NO_ACTION || pcr !== 0 || data.length !== STARTUP_LOCALITY.length + 1) return undefined;
  return Buffer.from(data.subarray(0, -1)).toString("latin1") === STARTUP_LOCALITY ? data.at(-1) : undefined;
}
