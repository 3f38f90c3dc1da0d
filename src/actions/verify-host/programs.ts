import {
  computeAuthenticodeDigest,
  type FirmwarePolicy,
  type PeEvidence,
  verifyPe,
} from "../../formats/authenticode/index.ts";
import { parsePe } from "../../formats/pe/index.ts";
import { findComposefsArguments, findText, parseUki, type Uki } from "../../formats/uki/index.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { PolicyError, SealwrightError, VerificationError } from "../../lib/errors.ts";
import { fold } from "../../model/disk/esp.ts";
import type { HostEsp, HostFile } from "../../model/host/index.ts";
import { checkAddonCommandLine, requireBootableUki } from "../../model/os/index.ts";
import { describeSigner } from "../../model/verdict/describe.ts";
import type { HostVerdictBuilder } from "./verdict.ts";

/** A program on the ESP, and whether firmware would start it. */
export interface HostProgram {
  readonly path: string;
  /** Authenticode digest in SHA-256, as PCR 4 has it; absent for what is no PE file. */
  readonly digestHex: string | undefined;
  readonly evidence: PeEvidence | SealwrightError;
  /** Only of a UKI that boots the tree in question. */
  readonly uki: Uki | undefined;
  /** The command line of an addon. */
  readonly addon: string | undefined;
}

/**
 * Reads every program on the ESP, one after the other.
 *
 * @param digestHex of the tree that runs
 */
export async function readPrograms(
  { files }: HostEsp,
  policy: FirmwarePolicy,
  digestHex: string | undefined,
): Promise<HostProgram[]> {
  const programs: HostProgram[] = [];
  for (const file of files.filter(({ path }) => fold(path).endsWith(".efi"))) {
    programs.push(await readProgram(file, policy, digestHex));
  }
  return programs;
}

async function readProgram(
  file: HostFile,
  policy: FirmwarePolicy,
  digestHex: string | undefined,
): Promise<HostProgram> {
  const { path } = file;
  const bytes = await file.read();
  const pe = attempt(() => parsePe(bytes));
  if (pe instanceof SealwrightError) {
    return { path, digestHex: undefined, evidence: pe, uki: undefined, addon: undefined };
  }
  const evidence = attempt(() => verifyPe(pe, policy));
  const parsed = isUki(path) ? attempt(() => parseUki(bytes)) : undefined;
  const uki = parsed instanceof SealwrightError ? undefined : parsed;
  const isAddon = fold(path).endsWith(".addon.efi");
  return {
    path,
    digestHex: toHex(computeAuthenticodeDigest(pe)),
    evidence,
    uki: uki !== undefined && !isAddon && commandLines(uki).some((line) => names(line, digestHex)) ? uki : undefined,
    addon: uki !== undefined && isAddon ? commandLines(uki)[0] : undefined,
  };
}

function attempt<T>(work: () => T): T | SealwrightError {
  try {
    return work();
  } catch (error) {
    if (error instanceof SealwrightError) return error;
    throw error;
  }
}

/** UKIs and their addons. */
const isUki = (path: string): boolean => /^(?:efi\/linux|loader\/addons)\//.test(fold(path));

/** The command line of each profile, as systemd-stub hands it to the kernel. */
export const commandLines = (uki: Uki): string[] =>
  Array.from({ length: Math.max(1, uki.profiles.length) }, (_, profile) =>
    (findText(uki, ".cmdline", profile) ?? "").trim(),
  );

function names(commandLine: string, digestHex: string | undefined): boolean {
  const found = attempt(() => findComposefsArguments(commandLine));
  return !(found instanceof SealwrightError) && found.some((argument) => argument.digestHex === digestHex);
}

/** Each boot loader where firmware and bootctl have theirs. */
export function verifyBootLoaders(verdict: HostVerdictBuilder, programs: readonly HostProgram[]): void {
  const loaders = programs.filter(({ path }) => /^efi\/(?:boot|systemd)\//.test(fold(path)));
  if (loaders.length === 0) {
    const message = "ESP: found no boot loader in EFI/BOOT and EFI/systemd, expected one";
    verdict.broken("boot-loader", new VerificationError("host.boot-loader.missing", message));
  }
  for (const program of loaders) judge(verdict, "boot-loader", program);
}

/** The UKI that boots the tree that runs. */
export async function verifyUki(
  verdict: HostVerdictBuilder,
  programs: readonly HostProgram[],
  commandLine: string,
): Promise<HostProgram | undefined> {
  const candidates = programs.filter(({ uki }) => uki !== undefined);
  const program = candidates.find(({ evidence }) => !(evidence instanceof SealwrightError)) ?? candidates[0];
  if (program?.uki === undefined) {
    const message = "ESP: found no UKI whose command line names the tree that runs, expected one";
    verdict.broken("uki", new VerificationError("host.uki.missing", message));
    return undefined;
  }
  judge(verdict, "uki", program);
  const { path, uki } = program;
  await verdict.check(
    "uki",
    () => requireBootableUki(uki.pe.bytes, path),
    (found) => `kernel ${(findText(found, ".uname") ?? "of unknown version").trim()}`,
  );
  const addons = programs.flatMap(({ addon, evidence, path: place }) => {
    if (addon === undefined || evidence instanceof SealwrightError) return [];
    judgeAddon(verdict, place, addon);
    return [addon];
  });
  await verdict.check(
    "command-line",
    () => requireSigned(commandLine, commandLines(uki), addons),
    (shown) => shown,
  );
  return program;
}

/** The stub takes what firmware accepts, so that a signed addon can lead away from the seal. */
function judgeAddon(verdict: HostVerdictBuilder, path: string, commandLine: string): void {
  for (const { breaksSeal, code, message } of checkAddonCommandLine(commandLine)) {
    const shown = `${path}: ${message}`;
    if (breaksSeal) verdict.broken("command-line", new PolicyError(code, shown, { data: { path } }));
    else verdict.warn("command-line", { code, message: shown });
  }
}

function judge(verdict: HostVerdictBuilder, link: "boot-loader" | "uki", { evidence, path }: HostProgram): void {
  if (!(evidence instanceof SealwrightError)) return verdict.holds(link, `${path}, ${describeSigner(evidence)}`);
  const { code, data, hint, message } = evidence;
  const options = { data: { ...data, path }, ...(hint === undefined ? {} : { hint }) };
  verdict.broken(link, new VerificationError(code, `${path}: ${message}`, options));
}

/**
 * What the kernel was started with is what the UKI says, and behind it what signed addons add. systemd-stub may name a
 * console of its own.
 */
function requireSigned(running: string, signed: readonly string[], addons: readonly string[]): string {
  const own = signed.filter((line) => running === line || running.startsWith(`${line} `));
  const line = own.reduce<string | undefined>((a, b) => (a !== undefined && a.length > b.length ? a : b), undefined);
  if (line === undefined) {
    const message = "the kernel was started with another command line than the one that is signed";
    throw new VerificationError("host.command-line.differs", message, { data: { running, signed } });
  }
  const known = new Set(addons.flatMap((addon) => addon.split(/\s+/u)));
  const extra = running.slice(line.length).split(/\s+/u).filter(Boolean);
  const unknown = extra.filter((word) => !known.has(word) && !word.startsWith("console="));
  if (unknown.length === 0) return extra.length === 0 ? "as signed" : `as signed, and ${extra.join(" ")}`;
  const message = `the kernel was started with ${unknown.join(" ")}, which nobody signed`;
  throw new VerificationError("host.command-line.added", message, { data: { running, unknown } });
}
