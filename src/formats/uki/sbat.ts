import { FormatError, quote } from "../../lib/errors.ts";
import { isPe, parsePe } from "../pe/index.ts";
import { SBAT_HEADER } from "./layout.ts";

/** One line of SBAT: what is revoked together, and how often that has been necessary. */
export interface SbatEntry {
  readonly component: string;
  readonly generation: number;
  readonly vendor: string;
  readonly vendorPackage: string;
  readonly vendorVersion: string;
  readonly vendorUrl: string;
}

/**
 * Joins SBAT texts into one: the header once, then the lines of every source in order, without their headers.
 *
 * @param what names the sources in messages, in the same order
 * @throws {FormatError} `uki.sbat.header` when a text does not start with `sbat,`
 * @see shim SBAT.md, "Generation-Based Revocation Overview"
 */
export function mergeSbat(sources: readonly { readonly what: string; readonly text: string }[]): string {
  const lines = sources.flatMap(({ what, text }) => sbatLines(text, what).slice(1));
  return `${[SBAT_HEADER, ...lines].join("\n")}\n`;
}

/** The `.sbat` text of a PE, without trailing NULs; absent for what is no PE or has no such section. */
export function readSbat(bytes: Uint8Array, what: string): string | undefined {
  if (!isPe(bytes)) return undefined;
  const section = parsePe(bytes).sections.find(({ name, rawSize }) => name === ".sbat" && rawSize > 0);
  if (section === undefined) return undefined;
  // The whole raw data, as ukify takes it: stubs since 258 pad theirs with NULs inside VirtualSize anyway.
  return decodeText(bytes.subarray(section.rawOffset, section.rawOffset + section.rawSize), what);
}

/**
 * @throws {FormatError} `uki.sbat.header`, `uki.sbat.entry`
 * @see shim SBAT.md, "SBAT section format"
 */
export function parseSbat(text: string, what: string): SbatEntry[] {
  return sbatLines(text, what).map((line, index) => {
    const [component, generation, vendor, vendorPackage, vendorVersion, vendorUrl, ...rest] = line.split(",");
    if (component === undefined || !/^[1-9]\d{0,8}$/.test(generation ?? "") || rest.length > 0) {
      throw new FormatError("uki.sbat.entry", {
        what: `${what}: SBAT line ${index + 1}`,
        expected: "component,generation[,vendor,package,version,url]",
        found: quote(line),
      });
    }
    return {
      component,
      generation: Number(generation),
      vendor: vendor ?? "",
      vendorPackage: vendorPackage ?? "",
      vendorVersion: vendorVersion ?? "",
      vendorUrl: vendorUrl ?? "",
    };
  });
}

function sbatLines(text: string, what: string): string[] {
  const lines = text.split(/\r\n|\r|\n/);
  if (lines.at(-1) === "") lines.pop();
  if (lines[0]?.startsWith("sbat,") !== true) {
    throw new FormatError("uki.sbat.header", {
      what: `${what}: SBAT`,
      expected: 'a first line that starts with "sbat,"',
      found: quote(lines[0] ?? ""),
    });
  }
  return lines;
}

function decodeText(bytes: Uint8Array, what: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes).replace(/\0+$/, "");
  } catch (cause) {
    throw new FormatError(
      "uki.sbat.encoding",
      { what: `${what}: SBAT`, expected: "UTF-8 text", found: "other bytes" },
      { cause },
    );
  }
}
