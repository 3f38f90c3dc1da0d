/**
 * Event logs of measured boot: what firmware and boot loaders say they extended PCRs with, and the values that gives.
 *
 *     header event, as for TPM 1.2        event                                   event
 *     +-----+------+---------+------+     +-----+------+-------+---------------+------+-------+--
 *     | PCR | type | SHA-1   | size |     | PCR | type | count | alg | digest… | size | data  | …
 *     | 0   | 3    | (zeros) |      |     |     |      |       |     |         |      |       |
 *     +-----+------+---------+------+     +-----+------+-------+---------------+------+-------+--
 *     "Spec ID Event03", algorithms and the sizes of their digests
 *
 * Follows the TCG PC Client Platform Firmware Profile 1.06 §10. A log proves nothing until its replay equals PCRs that a
 * TPM signed; then its digests are known, and data only where it hashes to its digest. Not supported: logs of TPM 1.2.
 */
export { listOptionRoms, type OptionRom } from "./drivers.ts";
export { EVENT_TYPES, type EventTypeName, type HashAlgorithm } from "./layout.ts";
export { type EventLog, type LogEvent, parseEventLog } from "./read.ts";
export { extendPcr, replayEventLog } from "./replay.ts";
