import { findText, type Uki } from "../../formats/uki/index.ts";
import { PolicyError } from "../../lib/errors.ts";
import { type AddonProblem, checkAddon } from "../os/index.ts";

/**
 * Requires that a UKI with this addon still boots what its seal says.
 *
 * @param path for messages
 * @returns what is allowed and worth a warning
 * @throws {PolicyError} with the code of the first problem of `checkAddon` that breaks the seal
 */
export function requireSoundAddon(addon: Uki, path: string): AddonProblem[] {
  const problems = checkAddon(addon, path);
  const broken = problems.find(({ breaksSeal }) => breaksSeal);
  if (broken === undefined) return problems;
  const data = { path, problems: problems.map(({ code }) => code) };
  throw new PolicyError(broken.code, broken.message, { data });
}

/** What an addon is, for people: `serial.addon.efi, addon "console=ttyS0"`. */
export function describeAddon(addon: Uki, path: string): string {
  const commandLine = findText(addon, ".cmdline")?.trim();
  return `${path}, addon${commandLine === undefined ? "" : ` "${commandLine}"`}`;
}
