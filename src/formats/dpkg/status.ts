import { FormatError, quote } from "../../lib/errors.ts";

export interface DpkgPackage {
  readonly name: string;
  readonly version: string;
  /** Empty when the file does not tell. */
  readonly architecture: string;
  /** Bytes, rounded to KiB by whoever built the package. */
  readonly installedSize?: number;
  /** Name of the source package, where it is another than the package's. */
  readonly source?: string;
}

/** Most packages in a file. Safety limit, not a format rule: all of Debian has some 70 000. */
const MAX_PACKAGES = 1 << 20;

/**
 * Lists the packages that are unpacked, in file order. Removed ones whose configuration was kept are left out.
 *
 * @param what names the file in messages
 * @throws {FormatError} `dpkg.status.line`, `dpkg.status.field-missing`, `dpkg.status.size`, `dpkg.status.count`
 * @see deb-control(5); dpkg lib/dpkg/parse.c
 */
export function parseDpkgStatus(bytes: Uint8Array, what = "dpkg status"): DpkgPackage[] {
  const packages: DpkgPackage[] = [];
  let fields: Fields = {};
  let start = 1;
  const finish = (): void => {
    const found = toPackage(fields, what, start);
    if (found !== undefined) packages.push(found);
    if (packages.length > MAX_PACKAGES) {
      const [expected, count] = [`at most ${MAX_PACKAGES} packages`, `${packages.length}`];
      throw new FormatError("dpkg.status.count", { what, expected, found: count });
    }
    fields = {};
  };
  const lines = new TextDecoder().decode(bytes).split("\n");
  for (const [index, line] of lines.entries()) {
    if (line.trim() === "") {
      finish();
      start = index + 2;
    } else if (!/^[ \t#]/.test(line)) {
      const colon = line.indexOf(":");
      if (colon <= 0) {
        const expected = "a field, a continuation or an empty line";
        throw new FormatError("dpkg.status.line", { what: `${what}: line ${index + 1}`, expected, found: quote(line) });
      }
      const name = line.slice(0, colon).toLowerCase();
      if (isField(name)) fields[name] = line.slice(colon + 1).trim();
    }
  }
  finish();
  return packages;
}

const FIELDS = ["package", "status", "version", "architecture", "installed-size", "source"] as const;
type Field = (typeof FIELDS)[number];
type Fields = { [K in Field]?: string };

/** `Source: gcc-14 (14.2.0-19)`: the version stands there when it is not the package's. */
const VERSION_OF_SOURCE = /\s+\(.*$/;

const isField = (name: string): name is Field => (FIELDS as readonly string[]).includes(name);

/** The last word of `Status` for a package of which nothing, or only configuration, is there (dpkg(1)). */
const NOT_UNPACKED: readonly (string | undefined)[] = ["not-installed", "config-files"];

function toPackage(fields: Fields, what: string, line: number): DpkgPackage | undefined {
  if (Object.keys(fields).length === 0) return undefined;
  if (NOT_UNPACKED.includes(fields.status?.split(/\s+/).at(-1))) return undefined;
  const require = (field: Field): string => {
    const value = fields[field];
    if (value) return value;
    const mismatch = { what: `${what}: package at line ${line}`, expected: `a field "${field}"`, found: "none" };
    throw new FormatError("dpkg.status.field-missing", mismatch);
  };
  const size = fields["installed-size"];
  if (size !== undefined && !/^\d{1,12}$/.test(size)) {
    const mismatch = {
      what: `${what}: installed-size at line ${line}`,
      expected: "a number of KiB",
      found: quote(size),
    };
    throw new FormatError("dpkg.status.size", mismatch);
  }
  return {
    name: require("package"),
    version: require("version"),
    architecture: fields.architecture ?? "",
    ...(size === undefined ? {} : { installedSize: Number(size) * 1024 }),
    ...(fields.source ? { source: fields.source.replace(VERSION_OF_SOURCE, "") } : {}),
  };
}
