/** Files and texts that a UKI is built from. */
import { readdir } from "node:fs/promises";
import { isPe, MACHINE, parsePe } from "../../formats/pe/index.ts";
import {
  encodeHwids,
  makeSection,
  normalizeCommandLine,
  parseHwidDescription,
  type UkiSection,
} from "../../formats/uki/index.ts";
import { quote, UsageError } from "../../lib/errors.ts";
import { inputError } from "../../model/host-io/errors.ts";
import { loadFile } from "../../model/host-io/files.ts";

/** Safety limit: offsets in a PE have 32 bits. */
const MAX_PART_SIZE = 2 ** 32 - 1;
/** Safety limit for descriptions and other texts; the largest of systemd's have 2 KiB. */
const MAX_TEXT_SIZE = 1024 * 1024;

export type EfiArchitecture = "x64" | "aa64";

const EFI_ARCHITECTURES: readonly { readonly machine: number; readonly name: EfiArchitecture }[] = [
  { machine: MACHINE.amd64, name: "x64" },
  { machine: MACHINE.arm64, name: "aa64" },
];

/** Where systemd-boot-efi (Debian) and systemd-boot-unsigned (Fedora) install their stubs. */
const STUB_DIRECTORY = "/usr/lib/systemd/boot/efi";

/** @throws {NotFoundError} `input.not-found`; {FormatError} `uki.input.too-large` */
export async function loadPart(path: string, what: string): Promise<Uint8Array> {
  return await loadFile(path, what, MAX_PART_SIZE, "uki.input.too-large");
}

/** `@FILE` is the file as it is; anything else is the text itself. */
export async function loadTextOrFile(value: string, what: string): Promise<Uint8Array> {
  return value.startsWith("@") ? await loadPart(value.slice(1), what) : Buffer.from(value);
}

/** As `loadTextOrFile()`, with the words of a text joined by single spaces; a file keeps its line end. */
export async function loadCommandLine(value: string): Promise<Uint8Array> {
  return await loadTextOrFile(value.startsWith("@") ? value : normalizeCommandLine(value), "kernel command line");
}

/**
 * Reads `NAME:TEXT` or `NAME:@PATH`.
 *
 * @throws {UsageError} `uki.section.spec`
 */
export async function loadSection(spec: string): Promise<UkiSection> {
  const [, name, value] = /^([^:]+):(.+)$/s.exec(spec) ?? [];
  if (name === undefined || value === undefined) {
    throw new UsageError("uki.section.spec", `section ${quote(spec)}: expected NAME:TEXT or NAME:@PATH`);
  }
  return makeSection(name, await loadTextOrFile(value, `section ${name}`));
}

/** Reads every `.json` below a directory like systemd's `boot/hwids/x64`, in the order of their paths. */
export async function loadHwids(directory: string): Promise<Uint8Array> {
  const names = await readdir(directory, { recursive: true }).catch((error: unknown) => {
    throw inputError(error, "hardware id directory", directory);
  });
  const paths = names.filter((name) => name.endsWith(".json")).sort(comparePaths);
  const devices = [];
  for (const name of paths) {
    const path = `${directory}/${name}`;
    const what = `hardware id description ${path}`;
    devices.push(parseHwidDescription(await loadFile(path, what, MAX_TEXT_SIZE, "uki.input.too-large"), what));
  }
  return encodeHwids(devices);
}

/** By path components: "a/b" comes before "a-b". */
function comparePaths(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a.replaceAll("/", "\0")), Buffer.from(b.replaceAll("/", "\0")));
}

/**
 * The stub that systemd installs for a kernel, or for an addon without one.
 *
 * @param architecture needed when no kernel says it
 * @throws {UsageError} `uki.stub.architecture`
 */
export function defaultStubPath(linux: Uint8Array | undefined, architecture: EfiArchitecture | undefined): string {
  const machine = linux !== undefined && isPe(linux) ? parsePe(linux).machine : undefined;
  const name = architecture ?? EFI_ARCHITECTURES.find((candidate) => candidate.machine === machine)?.name;
  if (name === undefined) {
    throw new UsageError("uki.stub.architecture", "no kernel names the architecture: name it, or the stub", {
      hint: "give the architecture (x64 or aa64) or the path of a stub",
    });
  }
  return `${STUB_DIRECTORY}/${linux === undefined ? "addon" : "linux"}${name}.efi.stub`;
}
