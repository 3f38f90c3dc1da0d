import { type ComposefsArgument, findComposefsArguments } from "../../formats/uki/index.ts";
import { PolicyError, SealwrightError, VerificationError } from "../../lib/errors.ts";
import { type BootMenu, type MenuEntry, readBootMenu } from "../../model/disk/boot-menu.ts";
import { type EspFile, findEspFile } from "../../model/disk/esp.ts";
import type { Esp } from "./esp.ts";
import type { DiskVerdictBuilder } from "./verdict.ts";

/** An entry with the UKI that it starts. */
export interface StartedUki {
  readonly entry: MenuEntry;
  readonly file: EspFile;
}

export interface ProvedMenu {
  /** In the order of the menu. */
  readonly started: readonly StartedUki[];
  /** Digests that entries name which start a bare kernel: nothing signs them, what they name can be checked all the same. */
  readonly unsigned: readonly ComposefsArgument[];
}

/**
 * Every entry must start a UKI that is there: whoever sits at the machine can choose any.
 */
export async function verifyMenu(verdict: DiskVerdictBuilder, esp: Esp): Promise<ProvedMenu> {
  const menu = readBootMenu(esp.volume, esp.files);
  for (const problem of menu.problems) verdict.warn("entries", problem);
  if (menu.entries.length === 0) {
    verdict.broken("entries", new VerificationError("disk.entry.none", "ESP: found no boot entry, expected one"));
  }
  const started: StartedUki[] = [];
  for (const entry of menu.entries) {
    const found = await verdict.check(
      "entries",
      () => requireUki(esp, entry),
      () => describeEntry(entry, menu),
    );
    if (found !== undefined) started.push(found);
    if (entry.entry?.options !== undefined && entry.uki !== undefined) {
      const message = `${entry.path}: found options, which a UKI with a command line of its own ignores`;
      verdict.warn("entries", { code: "disk.entry.options-ignored", message });
    }
  }
  const bare = menu.entries.flatMap(({ entry, uki }) => (uki === undefined && entry?.options ? [entry.options] : []));
  return { started, unsigned: bare.flatMap(digestsOf) };
}

/** A command line that cannot be read names none. */
function digestsOf(commandLine: string): ComposefsArgument[] {
  try {
    return findComposefsArguments(commandLine);
  } catch (error) {
    if (error instanceof SealwrightError) return [];
    throw error;
  }
}

function requireUki({ files }: Esp, entry: MenuEntry): StartedUki {
  if (entry.uki === undefined) {
    const starts = entry.entry?.linux === undefined ? "nothing" : `the kernel ${entry.entry.linux}`;
    throw new PolicyError("disk.entry.not-uki", `${entry.path}: starts ${starts}, expected a UKI`, {
      data: { path: entry.path },
      hint: "no signature covers the initramfs and the command line of such an entry: seal the image",
    });
  }
  const file = findEspFile(files, entry.uki);
  if (file !== undefined) return { entry, file };
  throw new VerificationError("disk.entry.uki-missing", `${entry.path}: ${entry.uki} is not on the ESP`, {
    data: { path: entry.path, uki: entry.uki },
  });
}

function describeEntry(entry: MenuEntry, { first }: BootMenu): string {
  const title = entry.title === undefined ? "" : ` "${entry.title}"`;
  return `${entry.path}${title}${entry === first ? ", boots first" : ""}`;
}
