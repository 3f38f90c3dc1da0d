import { createHash } from "node:crypto";
import type { SignatureDatabase } from "../../formats/esl/index.ts";
import { findComposefsArguments, findSection, findText, parseUki, type Uki } from "../../formats/uki/index.ts";
import { PolicyError, VerificationError } from "../../lib/errors.ts";
import { inFile } from "../../lib/in-file.ts";
import { type EspFile, fold } from "../../model/disk/esp.ts";
import {
  checkCommandLine,
  type OsProblem,
  requireBootableUki,
  requireSealArguments,
  type SealArguments,
} from "../../model/os/index.ts";
import { describeArguments, describeSigner } from "../../model/verdict/describe.ts";
import { describeAddon, requireSoundAddon } from "../../model/verdict/sound-addon.ts";
import { type Esp, verifyProgram } from "./esp.ts";
import type { StartedUki } from "./menu.ts";
import type { DiskVerdictBuilder } from "./verdict.ts";

/** A UKI that firmware would start, and what it boots. */
export interface ProvedUki {
  readonly path: string;
  readonly arguments: SealArguments;
  /** SHA-256 over kernel and initramfs, hex: what the origin file has. */
  readonly bootDigest: string;
}

/** Where the boot loader finds what it starts, and addons to that. */
const UKI_OR_ADDON = /^(?:efi\/linux|loader\/addons)\/.*\.efi$/;

/** Verifies each UKI that an entry starts, with its addons; what nothing starts is checked for its signature only. */
export async function verifyUkis(
  verdict: DiskVerdictBuilder,
  esp: Esp,
  started: readonly StartedUki[],
  db: SignatureDatabase,
  options: { readonly allowMissingVerity?: boolean },
): Promise<ProvedUki[]> {
  const files = new Set(started.map(({ file }) => file));
  const proved: ProvedUki[] = [];
  for (const file of files) {
    const uki = await verdict.check(
      "uki",
      () => verifyUki(esp, file, db),
      ({ shown }) => shown,
    );
    if (uki === undefined) continue;
    const given = await verdict.check(
      "command-line",
      () => inFile(file.path, () => requireArguments(uki.uki, file.path, options)),
      describeArguments,
    );
    const commandLine = findText(uki.uki, ".cmdline") ?? "";
    if (given === undefined) continue;
    for (const problem of checkCommandLine(commandLine)) verdict.warn("command-line", problem);
    proved.push({ path: file.path, arguments: given, bootDigest: computeBootDigest(uki.uki) });
  }
  for (const file of esp.files.filter((one) => !files.has(one) && UKI_OR_ADDON.test(fold(one.path)))) {
    const other = await verdict.check(
      "uki",
      () => verifyOther(esp, file, db),
      ({ shown }) => shown,
    );
    for (const problem of other?.problems ?? []) verdict.warn("uki", problem);
  }
  return proved;
}

function verifyUki(esp: Esp, file: EspFile, db: SignatureDatabase): { readonly uki: Uki; readonly shown: string } {
  const { bytes, evidence } = verifyProgram(esp, file, db);
  const uki = inFile(file.path, () => requireBootableUki(bytes, file.path));
  const version = findText(uki, ".uname");
  const kernel = version === undefined ? "" : `, kernel ${version.trim()}`;
  return { uki, shown: `${file.path}${kernel}, ${describeSigner(evidence)}` };
}

/** The digest must be in the name, too: bootc finds image and state of a deployment by it. */
function requireArguments(uki: Uki, path: string, options: { readonly allowMissingVerity?: boolean }): SealArguments {
  const given = requireSealArguments(uki, options);
  const id = idInName(path);
  if (id === undefined || given.some(({ digestHex }) => digestHex === id)) return given;
  throw new VerificationError(
    "disk.uki.name-differs",
    `found digest ${given.map(({ digestHex }) => digestHex).join(", ")} on the command line, expected that of the name`,
  );
}

/** The digest that bootc has put into the name of a UKI. */
export const idInName = (path: string): string | undefined => /bootc_composefs-([0-9a-f]+)\.efi$/.exec(path)?.[1];

/** Addons, and UKIs that no entry starts. */
function verifyOther(
  esp: Esp,
  file: EspFile,
  db: SignatureDatabase,
): { shown: string; problems: readonly OsProblem[] } {
  const { bytes, evidence } = verifyProgram(esp, file, db);
  if (!fold(file.path).endsWith(".addon.efi")) {
    return { shown: `${file.path}, ${describeSigner(evidence)}; no entry starts it`, problems: [] };
  }
  const addon = inFile(file.path, () => parseUki(bytes));
  inFile(file.path, () => requireNoDigest(addon));
  const problems = requireSoundAddon(addon, file.path);
  return { shown: `${describeAddon(addon, file.path)}, ${describeSigner(evidence)}`, problems };
}

/** An addon's command line goes behind that of the UKI: a digest in it could lead to another tree. */
function requireNoDigest(addon: Uki): void {
  const count = Math.max(1, addon.profiles.length);
  for (let profile = 0; profile < count; profile++) {
    if (findComposefsArguments(findText(addon, ".cmdline", profile) ?? "").length === 0) continue;
    throw new PolicyError("disk.addon.digest", "found composefs= on the command line of an addon, expected none");
  }
}

function computeBootDigest(uki: Uki): string {
  const hash = createHash("sha256");
  for (const name of [".linux", ".initrd"]) hash.update(findSection(uki, name) ?? new Uint8Array(0));
  return hash.digest("hex");
}
