import { PolicyError, VerificationError } from "../../lib/errors.ts";
import { type BootMenu, type MenuEntry, readBootMenu } from "../../model/disk/boot-menu.ts";
import { type EspFile, findEspFile } from "../../model/disk/esp.ts";
import type { Esp } from "./esp.ts";
import type { DiskVerdictBuilder } from "./verdict.ts";

/** An entry with the UKI that it starts. */
export interface StartedUki {
  readonly entry: MenuEntry;
  readonly file: EspFile;
}

/**
 * Every entry must start a UKI that is there: whoever sits at the machine can choose any.
 *
 * @returns in the order of the menu; undefined when no entry starts anything
 */
export async function verifyMenu(verdict: DiskVerdictBuilder, esp: Esp): Promise<StartedUki[] | undefined> {
  const menu = readBootMenu(esp.volume, esp.files);
  for (const problem of menu.problems) verdict.warn("entries", problem);
  if (menu.entries.length === 0) {
    verdict.broken("entries", new VerificationError("disk.entry.none", "ESP: found no boot entry, expected one"));
    return undefined;
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
  return started.length === 0 ? undefined : started;
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
