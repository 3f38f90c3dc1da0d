import { hash } from "node:crypto";
import { type Pe, type PeSection, sectionContent } from "../pe/index.ts";
import { REPEATABLE_SECTIONS, TEXT_SECTIONS } from "./layout.ts";

export interface SectionReport {
  /** Bytes. */
  readonly size: number;
  /** Hex. */
  readonly sha256: string;
  /** Of text sections: without trailing NULs, others shown as `\0`. */
  readonly text?: string;
}

type SectionReports = Record<string, SectionReport | SectionReport[]>;

/** Sections of the base by name, and those of each profile. */
export type UkiReport = SectionReports & { readonly _profiles?: SectionReports[] };

/**
 * Describes every section of any PE, as `ukify inspect --all --json=pretty` of systemd 262 prints it.
 *
 * A name that a profile has twice becomes a list; `.dtbauto` and `.efifw` always are.
 */
export function inspectUki(pe: Pe): UkiReport {
  const base: SectionReports = {};
  const profiles: SectionReports[] = [];
  let current = base;
  for (const section of pe.sections) {
    if (section.name === ".profile") {
      current = {};
      profiles.push(current);
    }
    addReport(current, section.name, reportSection(pe, section));
  }
  if (profiles.length > 0) Object.assign(base, { _profiles: profiles });
  return base;
}

function addReport(reports: SectionReports, name: string, report: SectionReport): void {
  const known = Object.hasOwn(reports, name) ? reports[name] : undefined;
  let value: SectionReport | SectionReport[] = report;
  if (known !== undefined) value = Array.isArray(known) ? [...known, report] : [known, report];
  else if (REPEATABLE_SECTIONS.has(name)) value = [report];
  // A section may be named __proto__; assignment would not store it.
  Object.defineProperty(reports, name, { value, configurable: true, enumerable: true, writable: true });
}

function reportSection(pe: Pe, section: PeSection): SectionReport {
  const content = sectionContent(pe, section);
  const report = { size: content.length, sha256: hash("sha256", content) };
  return TEXT_SECTIONS.has(section.name) ? { ...report, text: showText(content) } : report;
}

function showText(content: Uint8Array): string {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(content);
    return text.replace(/\0+$/, "").replaceAll("\0", "\\0");
  } catch {
    return "(not valid UTF-8)";
  }
}
