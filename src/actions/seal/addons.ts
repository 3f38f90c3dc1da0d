/** Addons that are sealed in: signed by the same key, kept in /boot, which is outside the digest. */
import { basename } from "node:path";
import { findText, parseUki } from "../../formats/uki/index.ts";
import { FormatError, PolicyError, quote, UsageError } from "../../lib/errors.ts";
import { loadFile } from "../../model/host-io/files.ts";
import { ADDON_SUFFIX, type AddonProblem, MAX_COMMAND_LINE } from "../../model/os/index.ts";
import { requireSoundAddon } from "../../model/verdict/sound-addon.ts";

/** An addon of the image to be. */
export interface SealAddon {
  /** Relative to the root. */
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly commandLine: string;
  readonly problems: readonly AddonProblem[];
}

/** Safety limit: an addon is a few KiB, or has a devicetree or an initrd. */
const MAX_ADDON_SIZE = 256 << 20;

/** In front of the file of an addon that every UKI takes. */
const GLOBAL = "global:";

/**
 * Reads addons and finds their places: beside the UKI in `NAME.efi.extra.d`, or with `global:` in `loader/addons`, from
 * where bootc brings them to the ESP.
 *
 * @param given `FILE` or `global:FILE`
 * @param ukiPath relative to the root
 * @throws {UsageError} `addon.name`, `seal.addon.twice`
 * @throws {FormatError} `addon.kind`, `pe.…`, `uki.…`
 * @throws {PolicyError} `seal.addon.other-kernel`; the codes of `checkAddon` for what breaks the seal
 * @see bootc specification, section 1.4; systemd-stub(7), "Companion Files"
 */
export async function loadSealAddons(
  given: readonly string[],
  ukiPath: string,
  kernelVersion: string,
): Promise<SealAddon[]> {
  const addons: SealAddon[] = [];
  for (const spec of given) {
    const isGlobal = spec.startsWith(GLOBAL);
    const file = isGlobal ? spec.slice(GLOBAL.length) : spec;
    const name = basename(file);
    if (!name.endsWith(ADDON_SUFFIX)) {
      throw new UsageError("addon.name", `addon ${quote(name)}: expected a name that ends in ${ADDON_SUFFIX}`);
    }
    const path = isGlobal ? `boot/loader/addons/${name}` : `${ukiPath}.extra.d/${name}`;
    if (addons.some((other) => other.path === path)) {
      throw new UsageError("seal.addon.twice", `two addons want the name ${quote(name)}`);
    }
    const bytes = await loadFile(file, `addon ${file}`, MAX_ADDON_SIZE, "seal.addon.too-large");
    addons.push({ path, bytes, ...judge(bytes, file, kernelVersion) });
  }
  return addons;
}

function judge(bytes: Uint8Array, file: string, kernelVersion: string): Pick<SealAddon, "commandLine" | "problems"> {
  const addon = parseUki(bytes);
  if (addon.kind !== "addon") {
    throw new FormatError("addon.kind", { what: file, expected: "an addon", found: `a ${addon.kind}` });
  }
  const problems = requireSoundAddon(addon, file);
  const uname = findText(addon, ".uname")?.trim();
  if (uname !== undefined && uname !== kernelVersion) {
    const message = `${file}: for kernel ${quote(uname)}, the image has ${quote(kernelVersion)}: the stub would pass it over`;
    throw new PolicyError("seal.addon.other-kernel", message);
  }
  return { commandLine: findText(addon, ".cmdline")?.trim() ?? "", problems };
}

/**
 * Requires that the kernel keeps the whole command line when the stub has joined it.
 *
 * @throws {PolicyError} `seal.addon.command-line-too-long`
 */
export function requireJoinedCommandLine(commandLine: string, addons: readonly SealAddon[]): void {
  const parts = [commandLine, ...addons.map((addon) => addon.commandLine)].filter((part) => part !== "");
  const { length } = parts.join(" ");
  if (addons.length === 0 || length <= MAX_COMMAND_LINE) return;
  throw new PolicyError(
    "seal.addon.command-line-too-long",
    `the command line with those of the addons has ${length} bytes, expected at most ${MAX_COMMAND_LINE}`,
  );
}
