import { FormatError } from "../../lib/errors.ts";

/** What a boot loader lists, and sorts by. */
export interface MenuItem {
  /** File name in lower case, without the boot counter. */
  readonly id: string;
  readonly title?: string;
  readonly version?: string;
  readonly machineId?: string;
  readonly sortKey?: string;
  /** Boot counting; absent when the name has no counter. */
  readonly triesLeft?: number;
  readonly triesDone?: number;
}

/** A type 1 entry: one `.conf` file. */
export interface BootEntry extends MenuItem {
  readonly architecture?: string;
  /** Paths on the file system that the entry is on. */
  readonly uki?: string;
  readonly efi?: string;
  readonly linux?: string;
  readonly initrds: readonly string[];
  readonly devicetree?: string;
  /** All lines of options, joined by spaces. */
  readonly options?: string;
}

/** Keys that have one value: a second one replaces the first, as in systemd-boot. */
const SINGLE_KEYS = {
  title: "title",
  version: "version",
  "machine-id": "machineId",
  "sort-key": "sortKey",
  architecture: "architecture",
  uki: "uki",
  efi: "efi",
  linux: "linux",
  devicetree: "devicetree",
} as const;

/** Safety limit, not a format rule: entries have some hundred bytes, command lines at most 4 KiB. */
export const ENTRY_SIZE_MAX = 65_536;

/**
 * Parses a type 1 entry. Keys that are not known say nothing.
 *
 * @param fileName as it is in `loader/entries`
 * @throws {FormatError} `bls.entry.size`, `bls.entry.encoding`, `bls.entry.name`
 * @see UAPI.1 Boot Loader Specification, "Type #1 Boot Loader Entry Keys"
 */
export function parseBootEntry(bytes: Uint8Array, fileName: string): BootEntry {
  const named = parseEntryName(fileName, ".conf");
  const values: { -readonly [K in (typeof SINGLE_KEYS)[keyof typeof SINGLE_KEYS]]?: string } = {};
  const initrds: string[] = [];
  const options: string[] = [];
  for (const [key, value] of parseLines(bytes, `boot entry ${JSON.stringify(fileName)}`)) {
    if (key === "initrd") initrds.push(value);
    else if (key === "options") options.push(value);
    else if (Object.hasOwn(SINGLE_KEYS, key)) values[SINGLE_KEYS[key as keyof typeof SINGLE_KEYS]] = value;
  }
  return { ...named, ...values, initrds, ...(options.length === 0 ? {} : { options: options.join(" ") }) };
}

export interface LoaderConf {
  /** Seconds, or `menu-force` and its like. */
  readonly timeout?: string;
  /** Pattern of the ids to start from. */
  readonly default?: string;
}

/**
 * Parses `loader/loader.conf`.
 *
 * @throws {FormatError} `bls.entry.size`, `bls.entry.encoding`
 * @see loader.conf(5)
 */
export function parseLoaderConf(bytes: Uint8Array): LoaderConf {
  const conf: { timeout?: string; default?: string } = {};
  for (const [key, value] of parseLines(bytes, "loader.conf")) {
    if (key === "timeout" || key === "default") conf[key] = value;
  }
  return conf;
}

/**
 * Takes the boot counter off a name: `a+3-1.conf` has three tries left, and failed once.
 *
 * @throws {FormatError} `bls.entry.name` for a name without the suffix
 * @see UAPI.1, "Boot counting"
 */
export function parseEntryName(fileName: string, suffix: ".conf" | ".efi"): MenuItem {
  const name = fileName.toLowerCase();
  const [, stem, left, done] = /^(.+?)(?:\+(\d{1,9})(?:-(\d{1,9}))?)?$/.exec(name.slice(0, -suffix.length)) ?? [];
  if (!name.endsWith(suffix) || stem === undefined) {
    throw new FormatError("bls.entry.name", {
      what: "name of a boot entry",
      expected: `one ending in ${suffix}`,
      found: JSON.stringify(fileName.slice(0, 80)),
    });
  }
  return {
    id: stem + suffix,
    ...(left === undefined ? {} : { triesLeft: Number(left), triesDone: Number(done ?? 0) }),
  };
}

function* parseLines(bytes: Uint8Array, what: string): Generator<readonly [key: string, value: string]> {
  if (bytes.length > ENTRY_SIZE_MAX) {
    throw new FormatError("bls.entry.size", {
      what,
      expected: `at most ${ENTRY_SIZE_MAX} bytes`,
      found: String(bytes.length),
    });
  }
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new FormatError("bls.entry.encoding", { what, expected: "UTF-8 text", found: "other bytes" });
  }
  for (const line of text.split(/[\r\n]+/)) {
    const [, key, value] = /^[ \t]*([^ \t#][^ \t]*)[ \t]+(.*)$/.exec(line) ?? [];
    if (key !== undefined && value !== undefined && value.trim() !== "") yield [key, value.trim()];
  }
}
