import { Cursor } from "../../lib/bytes/cursor.ts";
import { FormatError } from "../../lib/errors.ts";
import {
  EVENT_TYPES,
  type EventTypeName,
  HASH_ALGORITHMS,
  type HashAlgorithm,
  MAX_ALGORITHM_COUNT,
  MAX_EVENT_COUNT,
  MAX_EVENT_SIZE,
  MAX_LOG_SIZE,
  PCR_COUNT,
  SHA1_SIZE,
  SPEC_ID,
} from "./layout.ts";

/** TCG_PCR_EVENT2: something that was measured. */
export interface LogEvent {
  readonly pcr: number;
  readonly type: number;
  /** Absent for types that the specification does not name. */
  readonly typeName: EventTypeName | undefined;
  /** What the PCR was extended with, by bank; banks of other hashes are left out. */
  readonly digests: ReadonlyMap<HashAlgorithm, Uint8Array>;
  /** What firmware says of it. Worth nothing unless it hashes to the digest. */
  readonly data: Uint8Array;
}

export interface EventLog {
  /** Banks that every event has a digest for. */
  readonly algorithms: readonly HashAlgorithm[];
  /** Without the header event. */
  readonly events: readonly LogEvent[];
}

const TRUNCATED = "eventlog.truncated";

/**
 * Reads a crypto-agile log of measurements, as Linux shows it in `binary_bios_measurements`.
 *
 * @returns digests and data are views into `bytes`
 * @throws {FormatError} `eventlog.too-large`, `eventlog.truncated`, `eventlog.header`, `eventlog.algorithms`,
 *   `eventlog.event`
 * @see TCG PC Client Platform Firmware Profile 1.06 §10.2 and §10.4.5
 */
export function parseEventLog(bytes: Uint8Array, what = "event log"): EventLog {
  if (bytes.length > MAX_LOG_SIZE) {
    const expected = `at most ${MAX_LOG_SIZE} bytes`;
    throw new FormatError("eventlog.too-large", { what, expected, found: String(bytes.length) });
  }
  const cursor = new Cursor(bytes, what, TRUNCATED);
  const sizes = readHeader(cursor, what);
  const events: LogEvent[] = [];
  while (cursor.remaining > 0) {
    if (events.length === MAX_EVENT_COUNT) {
      const expected = `at most ${MAX_EVENT_COUNT} events`;
      throw new FormatError("eventlog.too-large", { what, offset: cursor.offset, expected, found: "more" });
    }
    events.push(readEvent(cursor, sizes, what));
  }
  return { algorithms: [...sizes.keys()].map(nameOf).filter((name) => name !== undefined), events };
}

/** @returns sizes of digests by TPM_ALG_ID */
function readHeader(cursor: Cursor, what: string): ReadonlyMap<number, number> {
  const refuse = (field: string, expected: string, found: string): never => {
    throw new FormatError("eventlog.header", { what: `${what}: ${field}`, offset: 0, expected, found });
  };
  const [pcr, type] = [cursor.u32le("PCRIndex"), cursor.u32le("EventType")];
  if (pcr !== 0 || type !== EVENT_TYPES.EV_NO_ACTION) refuse("first event", "EV_NO_ACTION for PCR 0", `type ${type}`);
  cursor.skip(SHA1_SIZE, "Digest");
  const size = cursor.u32le("EventDataSize");
  const event = new Cursor(cursor.bytes(size, "SpecIdEvent"), `${what}: SpecIdEvent`, TRUNCATED);
  const signature = Buffer.from(event.bytes(SPEC_ID.length, "Signature")).toString("latin1");
  if (signature !== SPEC_ID) refuse("Signature", JSON.stringify(SPEC_ID), JSON.stringify(signature));
  event.skip(8, "PlatformClass to UintnSize");
  const count = event.u32le("NumberOfAlgorithms");
  if (count < 1 || count > MAX_ALGORITHM_COUNT) refuse("NumberOfAlgorithms", `1 to ${MAX_ALGORITHM_COUNT}`, `${count}`);
  const sizes = new Map<number, number>();
  for (let i = 0; i < count; i++) {
    const [id, digestSize] = [event.u16le("AlgorithmId"), event.u16le("DigestSize")];
    const name = nameOf(id);
    if (sizes.has(id)) refuse("AlgorithmId", "each once", `0x${id.toString(16)} twice`);
    if (name !== undefined && HASH_ALGORITHMS[name].size !== digestSize) {
      refuse("DigestSize", `${HASH_ALGORITHMS[name].size} for ${name}`, `${digestSize}`);
    }
    sizes.set(id, digestSize);
  }
  return sizes;
}

function readEvent(cursor: Cursor, sizes: ReadonlyMap<number, number>, what: string): LogEvent {
  const { offset } = cursor;
  const refuse = (code: string, field: string, expected: string, found: string): never => {
    throw new FormatError(code, { what: `${what}: ${field}`, offset, expected, found });
  };
  const [pcr, type] = [cursor.u32le("PCRIndex"), cursor.u32le("EventType")];
  // Events without action may name no register at all.
  if (pcr >= PCR_COUNT && type !== EVENT_TYPES.EV_NO_ACTION) {
    refuse("eventlog.event", "PCRIndex", `below ${PCR_COUNT}`, String(pcr));
  }
  const digests = new Map<HashAlgorithm, Uint8Array>();
  const count = cursor.u32le("DigestCount");
  const seen = new Set<number>();
  // One digest a bank, in any order: a digest left out would be an event that a bank does not know of.
  if (count !== sizes.size) refuse("eventlog.algorithms", "DigestCount", String(sizes.size), String(count));
  for (let i = 0; i < count; i++) {
    const id = cursor.u16le("AlgorithmId");
    const size = sizes.get(id);
    if (size === undefined || seen.has(id)) {
      throw new FormatError("eventlog.algorithms", {
        what: `${what}: AlgorithmId`,
        offset: cursor.offset - 2,
        expected: "each algorithm of the header once",
        found: `0x${id.toString(16)}`,
      });
    }
    seen.add(id);
    const name = nameOf(id);
    const digest = cursor.bytes(size, "Digest");
    if (name !== undefined) digests.set(name, digest);
  }
  const size = cursor.u32le("EventSize");
  if (size > MAX_EVENT_SIZE) refuse("eventlog.event", "EventSize", `at most ${MAX_EVENT_SIZE}`, String(size));
  return { pcr, type, typeName: TYPE_NAMES.get(type), digests, data: cursor.bytes(size, "Event") };
}

const NAMES = new Map(
  (Object.keys(HASH_ALGORITHMS) as HashAlgorithm[]).map((name) => [HASH_ALGORITHMS[name].id as number, name]),
);
const nameOf = (id: number): HashAlgorithm | undefined => NAMES.get(id);

const TYPE_NAMES = new Map(
  (Object.keys(EVENT_TYPES) as EventTypeName[]).map((name) => [EVENT_TYPES[name] as number, name]),
);
