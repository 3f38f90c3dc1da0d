import { listSignatures } from "../../formats/authenticode/index.ts";
import type { FatVolume } from "../../formats/fat/index.ts";
import { type Pe, parsePe } from "../../formats/pe/index.ts";
import {
  findComposefsArguments,
  findMagic,
  findText,
  parseUki,
  readOsRelease,
  type Uki,
} from "../../formats/uki/index.ts";
import { type MenuEntry, readBootMenu } from "../../model/disk/boot-menu.ts";
import { type EspFile, findEspFile, fold, isBelow, readEspFile } from "../../model/disk/esp.ts";
import { ESP } from "../../model/disk/layout.ts";
import type { OsProblem } from "../../model/os/index.ts";
import type { Attempt } from "./attempt.ts";
import type { AddonReport, EntryReport, EspReport, ProgramReport, UkiFileReport } from "./report.ts";

export interface DescribedEsp {
  readonly report: EspReport;
  readonly problems: readonly OsProblem[];
}

export function describeEsp(volume: FatVolume, files: readonly EspFile[], attempt: Attempt): DescribedEsp {
  const menu = readBootMenu(volume, files);
  const describeAll = <T>(pattern: RegExp, describe: (file: EspFile, bytes: Uint8Array) => T): T[] =>
    files
      .filter(({ path }) => pattern.test(fold(path)))
      .map((file) => attempt(file.path, () => describe(file, readEspFile(volume, file))))
      .filter((report) => report !== null);
  const { conf } = menu;
  return {
    report: {
      bootLoaders: describeAll(/^efi\/(?:boot|systemd)\/.*\.efi$/, describeBootLoader),
      ...(conf?.timeout === undefined ? {} : { timeout: conf.timeout }),
      ...(conf?.default === undefined ? {} : { defaultPattern: conf.default }),
      entries: menu.entries.map((entry) => describeEntry(entry, files, entry === menu.first)),
      ukis: describeAll(/^efi\/linux\/(?!.*\.addon\.efi$).*\.efi$/, describeUki),
      addons: describeAll(/\.addon\.efi$/, describeAddon),
      keys: files.filter((file) => isBelow(file, ESP.keys)).map(({ path }) => path),
    },
    problems: menu.problems,
  };
}

function describeProgram({ entry, path }: EspFile, pe: Pe): ProgramReport {
  return { path, size: entry.size, signers: signersOf(pe) };
}

/** Whom the signatures name; nothing is verified here. */
function signersOf(pe: Pe): string[] {
  return listSignatures(pe).map((signature) =>
    signature.kind === "authenticode" ? (signature.signer?.subject ?? "a certificate that is not in it") : "unreadable",
  );
}

function describeBootLoader(file: EspFile, bytes: Uint8Array): ProgramReport {
  const pe = parsePe(bytes);
  const [, version] = /LoaderInfo: systemd-boot ([^ ]+)/.exec(findMagic(pe) ?? "") ?? [];
  return { ...describeProgram(file, pe), ...(version === undefined ? {} : { version }) };
}

function describeUki(file: EspFile, bytes: Uint8Array): UkiFileReport {
  const uki = parseUki(bytes);
  const kernel = findText(uki, ".uname")?.trim();
  const os = readOsRelease(uki).get("PRETTY_NAME");
  return {
    ...describeProgram(file, uki.pe),
    ...(kernel === undefined ? {} : { kernel }),
    ...(os === undefined ? {} : { os }),
    ...commandLineOf(uki),
    digests: findComposefsArguments(findText(uki, ".cmdline") ?? "").map(({ digestHex }) => digestHex),
  };
}

function describeAddon(file: EspFile, bytes: Uint8Array): AddonReport {
  const addon = parseUki(bytes);
  return { ...describeProgram(file, addon.pe), ...commandLineOf(addon) };
}

function commandLineOf(uki: Uki): { readonly commandLine?: string } {
  const text = findText(uki, ".cmdline")?.trim();
  return text === undefined ? {} : { commandLine: text };
}

function describeEntry(item: MenuEntry, files: readonly EspFile[], first: boolean): EntryReport {
  const { entry, path, sortKey, title, triesLeft, version } = item;
  const uki = item.uki === undefined ? undefined : (findEspFile(files, item.uki)?.path ?? item.uki);
  const facts = { title, version, sortKey, triesLeft, uki, linux: entry?.linux, options: entry?.options };
  const known = Object.fromEntries(Object.entries(facts).filter(([, fact]) => fact !== undefined));
  return { path, ...known, first };
}
