import { FormatError, quote } from "../../lib/errors.ts";
import { SECTION_NAME_SIZE } from "../pe/index.ts";
import { REPEATABLE_SECTIONS } from "./layout.ts";

/** A section to be written. Its content may come in parts, so that a large initrd is copied only once. */
export interface UkiSection {
  readonly name: string;
  readonly content: readonly Uint8Array[];
}

export function makeSection(name: string, ...content: readonly Uint8Array[]): UkiSection {
  return { name, content };
}

export function sectionSize(section: UkiSection): number {
  return section.content.reduce((size, part) => size + part.length, 0);
}

/**
 * Checks what the stub can find: printable ASCII of at most 8 characters.
 *
 * @throws {FormatError} `uki.section.name`
 */
export function requireSectionName(name: string): void {
  if (name.length > SECTION_NAME_SIZE || !/^[\x21-\x7e]+$/.test(name)) {
    throw new FormatError("uki.section.name", {
      what: "UKI section name",
      expected: "1 to 8 printable ASCII characters",
      found: quote(name),
    });
  }
}

/**
 * Checks that no name repeats inside a profile; a `.profile` section starts the next one.
 *
 * @throws {FormatError} `uki.section.duplicate`
 */
export function requireDistinctSections(names: Iterable<string>): void {
  let seen = new Set<string>();
  let profile = "base";
  let count = 0;
  for (const name of names) {
    if (name === ".profile") {
      seen = new Set();
      profile = `profile ${count++}`;
    } else if (seen.has(name) && !REPEATABLE_SECTIONS.has(name)) {
      throw new FormatError("uki.section.duplicate", {
        what: `UKI sections, ${profile}`,
        expected: `${quote(name)} once`,
        found: "a second one",
      });
    } else {
      seen.add(name);
    }
  }
}
