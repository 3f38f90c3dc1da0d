import { FormatError, quote } from "../../lib/errors.ts";
import { LONG_NAME_MAX, SHORT_NAME_SIZE } from "./layout.ts";

/** The 11 bytes of a short name as text: name and extension, each filled up with spaces. */
export type ShortName = string;

/** What a long name may not contain (section 7 of the specification). */
// oxlint-disable-next-line no-control-regex -- control characters are what is forbidden
const FORBIDDEN = /[\x00-\x1f"*/:<>?\\|]/;
/** Characters of a short name besides letters and digits. */
const NOT_SHORT = /[^A-Z0-9!#$%&'()\-@^_`{}~]/g;

/** @throws {FormatError} `fat.name` */
export function requireLongName(name: string): void {
  const bad = name.length === 0 || name.length > LONG_NAME_MAX || FORBIDDEN.test(name) || /[. ]$/.test(name);
  if (bad || !name.isWellFormed()) {
    throw new FormatError("fat.name", {
      what: "FAT file name",
      expected: `1 to ${LONG_NAME_MAX} characters, none of "*/:<>?\\| or control, no dot or space at the end`,
      found: quote(name),
    });
  }
}

/** Names are one when they differ only in case. */
export const foldName = (name: string): string => name.toUpperCase();

/** The short name that a name is by itself, or undefined when it needs a long one. */
export function exactShortName(name: string): ShortName | undefined {
  const match = /^([^.]{1,8})(?:\.([^.]{1,3}))?$/.exec(name);
  if (match === null || name.replace(".", "").search(NOT_SHORT) !== -1) return undefined;
  return pad(match[1] as string, match[2] ?? "");
}

/**
 * A short name for a long one: `LONGNA~1EXT`, with the lowest number that is free.
 *
 * @param taken short names of the directory so far
 * @see FAT specification 1.03, section 7.2, "The Basis-Name Generation Algorithm"
 */
export function aliasShortName(name: string, taken: ReadonlySet<ShortName>): ShortName {
  // 1. to 3. upper case, without spaces and leading dots, what cannot be becomes "_".
  const upper = name.toUpperCase().replaceAll(" ", "").replace(/^\.+/, "");
  const dot = upper.lastIndexOf(".");
  // 4. and 5. up to 8 characters of the name, up to 3 of what follows the last dot.
  const basis = clean(dot === -1 ? upper : upper.slice(0, dot)).slice(0, 8);
  const extension = dot === -1 ? "" : clean(upper.slice(dot + 1)).slice(0, 3);
  for (let n = 1; ; n++) {
    const tail = `~${n}`;
    const alias = pad(basis.slice(0, 8 - tail.length) + tail, extension);
    if (!taken.has(alias)) return alias;
  }
}

const clean = (part: string): string => part.replaceAll(".", "").replaceAll(NOT_SHORT, "_");

function pad(name: string, extension: string): ShortName {
  return name.padEnd(8) + extension.padEnd(3);
}

/** Sum that ties the entries of a long name to their short one. */
export function shortNameChecksum(shortName: Uint8Array): number {
  let sum = 0;
  for (const byte of shortName.subarray(0, SHORT_NAME_SIZE)) sum = (((sum & 1) << 7) + (sum >> 1) + byte) & 0xff;
  return sum;
}
