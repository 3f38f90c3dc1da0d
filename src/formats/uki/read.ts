import { FormatError, quote } from "../../lib/errors.ts";
import { IMAGE_SUBSYSTEM_EFI_APPLICATION, type Pe, type PeSection, parsePe, sectionContent } from "../pe/index.ts";
import { SECTION } from "../pe/layout.ts";
import { parseEnvFile } from "./env-file.ts";
import { ADDON_SECTIONS, MAX_PROFILES, MEASURED_SECTIONS } from "./layout.ts";
import { computePcr11, type Pcr11Options, type PcrBank } from "./pcr11.ts";
import { parseSbat, type SbatEntry } from "./sbat.ts";
import { makeSection, requireDistinctSections, type UkiSection } from "./section.ts";
import { selectSections } from "./select.ts";
import { readStubVersion } from "./stub.ts";

/** One section as the file holds it. */
export interface StoredSection {
  readonly name: string;
  /** A view into the file: as many bytes as the stub hands on and measures. */
  readonly content: Uint8Array;
}

export interface UkiProfile {
  /** `ID=` of its `.profile`. */
  readonly id: string | undefined;
  /** `TITLE=` of its `.profile`. */
  readonly title: string | undefined;
  /** In file order, `.profile` first. */
  readonly sections: readonly StoredSection[];
}

/** A unified kernel image, or an addon or a profile PE to one. */
export interface Uki {
  readonly kind: "uki" | "addon" | "profile";
  readonly pe: Pe;
  /** systemd version of the stub, when it tells. */
  readonly stubVersion: number | undefined;
  /** Everything in front of the first `.profile`, the stub's own sections included. */
  readonly base: readonly StoredSection[];
  /** By number; a UKI without profiles boots as number 0 all the same. */
  readonly profiles: readonly UkiProfile[];
}

/**
 * Reads a UKI, an addon or a profile PE, signed or not. Signatures are not judged.
 *
 * @throws {FormatError} `pe.…`; `uki.subsystem`; `uki.kind` when it is none of the three; `uki.section.duplicate`;
 *   `uki.section.outgrows-file` when memory would hold more of a section than the file; `uki.profile.count`
 * @see UAPI.5 Unified Kernel Image; systemd-stub(7)
 */
export function parseUki(bytes: Uint8Array): Uki {
  const pe = parsePe(bytes);
  if (pe.subsystem !== IMAGE_SUBSYSTEM_EFI_APPLICATION) {
    throw new FormatError("uki.subsystem", {
      what: "UKI: Subsystem",
      expected: "10 (EFI application)",
      found: `${pe.subsystem}`,
    });
  }
  requireDistinctSections(pe.sections.map(({ name }) => name));
  const stored = pe.sections.map((section) => storedSection(pe, section));
  const starts = stored.flatMap(({ name }, index) => (name === ".profile" ? [index] : []));
  if (starts.length > MAX_PROFILES) {
    throw new FormatError("uki.profile.count", {
      what: "UKI: profiles",
      expected: `at most ${MAX_PROFILES}, where the stub stops looking`,
      found: `${starts.length}`,
    });
  }
  const base = stored.slice(0, starts[0]);
  const profiles = starts.map((start, index) => readProfile(stored.slice(start, starts[index + 1])));
  return { kind: kindOf(base, profiles), pe, stubVersion: readStubVersion(pe), base, profiles };
}

/**
 * The section the stub uses in a profile: its own, or else the base's.
 *
 * @throws {FormatError} `uki.profile.absent`
 */
export function findSection(uki: Uki, name: string, profile = 0): Uint8Array | undefined {
  const own = requireProfile(uki, profile);
  return [...own, ...uki.base].find((section) => section.name === name)?.content;
}

/**
 * The text of a section without trailing NULs.
 *
 * @throws {FormatError} `uki.section.text` when it is no UTF-8; `uki.profile.absent`
 */
export function findText(uki: Uki, name: string, profile = 0): string | undefined {
  const content = findSection(uki, name, profile);
  if (content === undefined) return undefined;
  const text = decodeUtf8(content);
  if (text === undefined) {
    throw new FormatError("uki.section.text", {
      what: `UKI section ${name}`,
      expected: "UTF-8 text",
      found: "other bytes",
    });
  }
  return text.replace(/\0+$/, "");
}

/** os-release of the system inside. */
export function readOsRelease(uki: Uki, profile = 0): ReadonlyMap<string, string> {
  return parseEnvFile(findText(uki, ".osrel", profile) ?? "");
}

/** @throws {FormatError} `uki.sbat.header`, `uki.sbat.entry`, `uki.section.text` */
export function readSbatEntries(uki: Uki, profile = 0): SbatEntry[] {
  const text = findText(uki, ".sbat", profile);
  return text === undefined ? [] : parseSbat(text, "UKI section .sbat");
}

/**
 * Predicts PCR 11 of a profile as its own stub will measure it; several values when a `.dtbauto` is chosen by machine.
 *
 * @throws {UsageError} `uki.pcr.phase`
 * @throws {FormatError} `uki.profile.absent`
 */
export function predictPcr11(
  uki: Uki,
  bank: PcrBank,
  options: Pcr11Options & { readonly profile?: number } = {},
): Uint8Array[] {
  const version = options.stubVersion ?? uki.stubVersion;
  const given = { ...options, ...(version === undefined ? {} : { stubVersion: version }) };
  const variants = selectSections(toSections(uki.base), toSections(requireProfile(uki, options.profile ?? 0)));
  return variants.map((sections) => computePcr11(sections, bank, given));
}

const toSections = (stored: readonly StoredSection[]): UkiSection[] =>
  stored.map(({ name, content }) => makeSection(name, content));

function requireProfile(uki: Uki, profile: number): readonly StoredSection[] {
  const found = uki.profiles[profile];
  if (found !== undefined) return found.sections;
  if (profile === 0) return [];
  throw new FormatError("uki.profile.absent", {
    what: "UKI: profile number",
    expected: uki.profiles.length === 0 ? "0" : `0 to ${uki.profiles.length - 1}`,
    found: `${profile}`,
  });
}

const MEASURED_NAMES: ReadonlySet<string> = new Set(MEASURED_SECTIONS.map(({ name }) => name));

function storedSection(pe: Pe, section: PeSection): StoredSection {
  // The stub measures memory, where zeros would follow. No builder makes such sections, so none are predicted.
  if (MEASURED_NAMES.has(section.name) && section.virtualSize > section.rawSize) {
    throw new FormatError("uki.section.outgrows-file", {
      what: `UKI section ${section.name}: VirtualSize`,
      offset: section.headerOffset + SECTION.virtualSize,
      expected: `at most SizeOfRawData ${section.rawSize}`,
      found: `${section.virtualSize}`,
    });
  }
  return { name: section.name, content: sectionContent(pe, section) };
}

function readProfile(sections: readonly StoredSection[]): UkiProfile {
  const values = parseEnvFile(decodeUtf8(sections[0]?.content ?? new Uint8Array(0)) ?? "");
  return { id: values.get("ID"), title: values.get("TITLE"), sections };
}

/** @see systemd src/shared/pe-binary.c, `pe_is_uki()`, `pe_is_addon()` */
function kindOf(base: readonly StoredSection[], profiles: readonly UkiProfile[]): Uki["kind"] {
  const has = (name: string): boolean => base.some((section) => section.name === name);
  if (has(".linux")) {
    if (has(".osrel")) return "uki";
    throw noUki(base, "a .osrel section beside .linux");
  }
  if (ADDON_SECTIONS.some(has)) return "addon";
  if (profiles.length === 1) return "profile";
  throw noUki(base, ".linux and .osrel (UKI), .cmdline, .dtb, .initrd or .ucode (addon), or .profile (profile)");
}

function noUki(base: readonly StoredSection[], expected: string): FormatError {
  const found = quote(base.map(({ name }) => name).join(" "));
  return new FormatError("uki.kind", { what: "UKI sections", expected, found });
}

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
