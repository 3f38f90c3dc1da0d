import { setField, viewOf } from "../../lib/bytes/field.ts";
import { FormatError, quote } from "../../lib/errors.ts";
import {
  ATTRIBUTE,
  DIR_ENTRY,
  DIR_ENTRY_SIZE,
  DIRECTORY_ENTRIES_MAX,
  LAST_LONG_ENTRY,
  LONG_ENTRY,
  LONG_ENTRY_UNITS,
} from "./layout.ts";
import {
  aliasShortName,
  exactShortName,
  foldName,
  requireLongName,
  type ShortName,
  shortNameChecksum,
} from "./names.ts";

/** A name with the short name that stands beside it. */
export interface Name {
  /** Undefined when the short name says it all. */
  readonly longName: string | undefined;
  readonly shortName: ShortName;
}

/** Date and time words of a directory entry. */
export interface DosTime {
  readonly date: number;
  readonly time: number;
}

/** What one name in a directory points to. */
export interface EntryFields extends Name {
  readonly attributes: number;
  /** 0 for empty files and for ".." of a directory in the root. */
  readonly cluster: number;
  readonly size: number;
  readonly modified: DosTime;
}

/** Seconds since 1970 in UTC as DOS words: two-second steps, 1980 to 2107; what is outside becomes the nearest. */
export function toDosTime(seconds: number): DosTime {
  const min = Date.UTC(1980, 0, 1) / 1000;
  const max = Date.UTC(2107, 11, 31, 23, 59, 58) / 1000;
  const at = new Date(Math.min(Math.max(seconds, min), max) * 1000);
  return {
    date: ((at.getUTCFullYear() - 1980) << 9) | ((at.getUTCMonth() + 1) << 5) | at.getUTCDate(),
    time: (at.getUTCHours() << 11) | (at.getUTCMinutes() << 5) | (at.getUTCSeconds() >> 1),
  };
}

/** What `toDosTime` takes; of words that are no date, the day that they would be if months were longer. */
export function fromDosTime({ date, time }: DosTime): number {
  const [year, month, day] = [1980 + (date >>> 9), (date >>> 5) & 0xf, date & 0x1f];
  return Date.UTC(year, month - 1, day, time >>> 11, (time >>> 5) & 0x3f, (time & 0x1f) * 2) / 1000;
}

/**
 * Finds short names for the names of one directory, in the order of their code units.
 *
 * Names that are short names keep them; the others take what is left.
 *
 * @throws {FormatError} `fat.name`, `fat.name-twice`
 */
export function assignShortNames(names: readonly string[]): Map<string, Name> {
  const folded = new Set<string>();
  for (const name of names) {
    requireLongName(name);
    if (folded.has(foldName(name))) {
      throw new FormatError("fat.name-twice", {
        what: "FAT directory",
        expected: "names that differ in more than case",
        found: `${quote(name)} and another`,
      });
    }
    folded.add(foldName(name));
  }
  const sorted = [...names].sort();
  const assigned = new Map<string, Name>();
  const taken = new Set<ShortName>();
  for (const name of sorted) {
    const shortName = exactShortName(name);
    if (shortName === undefined) continue;
    taken.add(shortName);
    assigned.set(name, { longName: undefined, shortName });
  }
  for (const name of sorted) {
    if (assigned.has(name)) continue;
    const shortName = aliasShortName(name, taken);
    taken.add(shortName);
    assigned.set(name, { longName: name, shortName });
  }
  return assigned;
}

/** Directory entries that a name takes. */
export function countEntries({ longName }: Name): number {
  return 1 + Math.ceil((longName?.length ?? 0) / LONG_ENTRY_UNITS.length);
}

/** @throws {FormatError} `fat.directory-too-large` */
export function encodeEntries(entries: readonly EntryFields[]): Uint8Array {
  const count = entries.reduce((sum, entry) => sum + countEntries(entry), 0);
  if (count > DIRECTORY_ENTRIES_MAX) {
    throw new FormatError("fat.directory-too-large", {
      what: "FAT directory",
      expected: `at most ${DIRECTORY_ENTRIES_MAX} entries`,
      found: String(count),
    });
  }
  const bytes = new Uint8Array(count * DIR_ENTRY_SIZE);
  let at = 0;
  for (const entry of entries) {
    const shortName = Buffer.from(entry.shortName, "latin1");
    for (const long of encodeLongName(entry.longName ?? "", shortNameChecksum(shortName))) {
      bytes.set(long, at);
      at += DIR_ENTRY_SIZE;
    }
    bytes.set(shortName, at);
    putFields(viewOf(bytes.subarray(at, at + DIR_ENTRY_SIZE)), entry);
    at += DIR_ENTRY_SIZE;
  }
  return bytes;
}

function putFields(view: DataView, { attributes, cluster, size, modified }: EntryFields): void {
  setField(view, DIR_ENTRY.attributes, attributes);
  setField(view, DIR_ENTRY.creationTime, modified.time);
  setField(view, DIR_ENTRY.creationDate, modified.date);
  setField(view, DIR_ENTRY.accessDate, modified.date);
  setField(view, DIR_ENTRY.writeTime, modified.time);
  setField(view, DIR_ENTRY.writeDate, modified.date);
  setField(view, DIR_ENTRY.clusterHi, cluster >>> 16);
  setField(view, DIR_ENTRY.clusterLo, cluster & 0xffff);
  setField(view, DIR_ENTRY.fileSize, size);
}

/** The last part of the name comes first. A name that does not fill its entry ends with 0, then 0xffff. */
function encodeLongName(name: string, checksum: number): Uint8Array[] {
  const perEntry = LONG_ENTRY_UNITS.length;
  const count = Math.ceil(name.length / perEntry);
  return Array.from({ length: count }, (_, i) => {
    const order = count - i;
    const entry = new Uint8Array(DIR_ENTRY_SIZE);
    const view = viewOf(entry);
    setField(view, LONG_ENTRY.order, order | (i === 0 ? LAST_LONG_ENTRY : 0));
    setField(view, LONG_ENTRY.attributes, ATTRIBUTE.LONG_NAME);
    setField(view, LONG_ENTRY.checksum, checksum);
    for (const [unit, at] of LONG_ENTRY_UNITS.entries()) {
      const index = (order - 1) * perEntry + unit;
      const value = index < name.length ? name.charCodeAt(index) : index === name.length ? 0 : 0xffff;
      view.setUint16(at, value, true);
    }
    return entry;
  });
}
