import { FormatError } from "../../lib/errors.ts";
import { OPTIONAL, SECTION } from "./layout.ts";
import type { CertificateDirectory, DataDirectory, Pe, PeSection } from "./read.ts";

/**
 * Checks what a loader needs beyond `parsePe()`: sections ascend in memory without touching each other and end
 * inside SizeOfImage.
 *
 * @throws {FormatError} `pe.section.overlap-in-memory`, `pe.section.outside-image`
 */
export function requireLoadable(pe: Pe): void {
  let end = 0;
  for (const section of pe.sections) {
    if (section.virtualAddress < end) {
      throw new FormatError("pe.section.overlap-in-memory", {
        what: `PE section ${JSON.stringify(section.name)}: VirtualAddress`,
        offset: section.headerOffset + SECTION.virtualAddress,
        expected: `${hex(end)} or more`,
        found: hex(section.virtualAddress),
      });
    }
    end = section.virtualAddress + section.virtualSize;
    if (end > pe.sizeOfImage) {
      throw new FormatError("pe.section.outside-image", {
        what: `PE section ${JSON.stringify(section.name)}: end in memory`,
        offset: section.headerOffset,
        expected: `at most SizeOfImage ${hex(pe.sizeOfImage)}`,
        found: hex(end),
      });
    }
  }
}

export function requireAlignment(
  value: number,
  field: "SectionAlignment" | "FileAlignment",
  optionalOffset: number,
): number {
  if (value === 0 || (value & (value - 1)) !== 0) {
    throw new FormatError("pe.optional.alignment", {
      what: `PE: ${field}`,
      offset: optionalOffset + (field === "FileAlignment" ? OPTIONAL.fileAlignment : OPTIONAL.sectionAlignment),
      expected: "a power of two",
      found: hex(value),
    });
  }
  return value;
}

export function requireHeaderRoom(fileSize: number, sizeOfHeaders: number, tableOffset: number, count: number): void {
  if (sizeOfHeaders > fileSize) {
    throw new FormatError("pe.headers.outside-file", {
      what: "PE: SizeOfHeaders",
      expected: `at most the file size ${fileSize}`,
      found: `${sizeOfHeaders}`,
    });
  }
  const end = tableOffset + count * SECTION.size;
  if (end > sizeOfHeaders) {
    throw new FormatError("pe.sections.outside-headers", {
      what: `PE: section table of ${count} entries`,
      offset: tableOffset,
      expected: `to end by SizeOfHeaders ${sizeOfHeaders}`,
      found: `end at ${end}`,
    });
  }
}

export function requireCertificateRange(
  entry: DataDirectory | undefined,
  sizeOfHeaders: number,
  fileSize: number,
): CertificateDirectory | undefined {
  if (entry === undefined || entry.size === 0) return undefined;
  const { address: offset, size } = entry;
  if (offset < sizeOfHeaders || offset + size > fileSize) {
    throw new FormatError("pe.certificates.outside-file", {
      what: "PE: certificate table",
      offset,
      expected: `between the headers and the end of the file (${sizeOfHeaders} to ${fileSize})`,
      found: `${offset} to ${offset + size}`,
    });
  }
  return { offset, size };
}

export function requireRawRanges(
  sections: readonly PeSection[],
  sizeOfHeaders: number,
  fileSize: number,
  certificates: CertificateDirectory | undefined,
): void {
  const limit = certificates?.offset ?? fileSize;
  const stored = sections.filter((section) => section.rawSize !== 0).sort((a, b) => a.rawOffset - b.rawOffset);
  let end = sizeOfHeaders;
  let before = "the headers";
  for (const section of stored) {
    const what = `PE section ${JSON.stringify(section.name)}: raw data`;
    if (section.rawOffset < end) {
      throw new FormatError("pe.section.overlap", {
        what,
        offset: section.rawOffset,
        expected: `${end} or more, behind ${before}`,
        found: `${section.rawOffset}`,
      });
    }
    end = section.rawOffset + section.rawSize;
    if (end > limit) {
      throw new FormatError("pe.section.outside-file", {
        what,
        offset: section.rawOffset,
        expected: `to end by ${limit}, the ${certificates === undefined ? "file's end" : "certificate table"}`,
        found: `end at ${end}`,
      });
    }
    before = JSON.stringify(section.name);
  }
}

export function requireBytes(view: DataView, offset: number, size: number, what: string): void {
  if (offset + size > view.byteLength) {
    throw new FormatError("pe.truncated", {
      what,
      offset,
      expected: `${size} bytes`,
      found: `${Math.max(0, view.byteLength - offset)} left`,
    });
  }
}

export function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
