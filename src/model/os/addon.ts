/** The rules of UKI addons: what the stub takes from one, and what one can do to a seal. */
import {
  findSection,
  findText,
  type Parameter,
  parseCommandLine,
  requirePlainCommandLine,
  type Uki,
} from "../../formats/uki/index.ts";
import { FormatError, quote } from "../../lib/errors.ts";
import type { OsProblem } from "./problem.ts";

/** How the name of an addon ends, for the stub to look at it. */
export const ADDON_SUFFIX = ".addon.efi";

/** What is wrong with an addon, and whether the seal still means what it says with it. */
export interface AddonProblem extends OsProblem {
  readonly breaksSeal: boolean;
}

/** What the stub uses of an addon, and what says something about the addon itself. The rest is ignored. */
const USED_SECTIONS: ReadonlySet<string> = new Set([
  ".cmdline",
  ".dtb",
  ".dtbauto",
  ".efifw",
  ".hwids",
  ".initrd",
  ".ucode",
  ".uname",
  ".sbat",
]);

/** Sections of the addon stub itself. */
const STUB_SECTIONS: ReadonlySet<string> = new Set([".text", ".rodata", ".data", ".sdmagic", ".reloc"]);

/** The kernel cuts what is longer, with the NUL (COMMAND_LINE_SIZE of x86 and arm64). */
export const MAX_COMMAND_LINE = 2047;

interface Rule {
  readonly code: string;
  readonly breaksSeal: boolean;
  /** Completes "…, with which". */
  readonly effect: string;
  readonly matches: (parameter: Parameter) => boolean;
}

const key = (pattern: RegExp) => (parameter: Parameter) => pattern.test(parameter.key.replaceAll("-", "_"));
const text = (pattern: RegExp) => (parameter: Parameter) => pattern.test(parameter.text.replaceAll('"', ""));

/**
 * Words that change what a sealed host boots or who may use it. An addon is signed like the UKI, so that these are no
 * forgeries: they are what a signature was asked for and should not have been. The first rule that matches counts.
 *
 * @see dracut.cmdline(7), systemd(1), systemd-debug-generator(8), initramfs-tools(7), Linux kernel-parameters
 */
const WEAKENING: readonly Rule[] = [
  {
    code: "addon.cmdline.verity-optional",
    breaksSeal: true,
    effect: "a tree boots without fs-verity",
    matches: text(/^composefs(?:\.digest)?=\?/),
  },
  {
    code: "addon.cmdline.digest",
    breaksSeal: true,
    effect: "another tree than that of the UKI could boot",
    matches: key(/^composefs(?:\.digest)?$/),
  },
  {
    code: "addon.cmdline.init",
    breaksSeal: true,
    effect: "another program becomes the first one",
    matches: key(/^(?:rd)?init$/),
  },
  {
    code: "addon.cmdline.root",
    breaksSeal: true,
    effect: "the root file system is another one",
    matches: key(/^(?:root|rootfstype|rootflags|rootovl|overlayroot|ostree|nfsroot|mount\.usr|mount\.usrflags)$/),
  },
  {
    code: "addon.cmdline.shell",
    breaksSeal: true,
    effect: "the console gives a shell, with or without a password",
    matches: (parameter) =>
      key(/^(?:rd\.)?(?:break|shell|emergency|systemd\.debug_shell|systemd\.default_debug_tty)$/)(parameter) ||
      key(/^(?:systemd\.debug_shell|SYSTEMD_SULOGIN_FORCE|emergency|rescue|single|break)$/)(parameter) ||
      text(/^(?:1|s|S)$/)(parameter) ||
      text(/^(?:rd\.)?systemd\.unit=(?:emergency|rescue|debug-shell)\./)(parameter),
  },
  {
    code: "addon.cmdline.unit",
    breaksSeal: true,
    effect: "systemd starts, masks or is told something that the tree does not say",
    matches: key(
      /^(?:rd\.)?systemd\.(?:unit|wants|mask|run|run_.*|setenv|set_credential|set_credential_binary|volatile|verity)$/,
    ),
  },
  {
    code: "addon.cmdline.security-module",
    breaksSeal: false,
    effect: "a security module denies less or nothing",
    matches: (parameter) =>
      text(/^(?:enforcing|selinux|apparmor|audit)=0$/)(parameter) || key(/^(?:lsm|security)$/)(parameter),
  },
  {
    code: "addon.cmdline.kernel-protection",
    breaksSeal: false,
    effect: "the kernel protects itself less",
    matches: (parameter) =>
      text(/^(?:lockdown=none|mitigations=off|nokaslr|iommu=off|init_on_alloc=0|ima_appraise=(?:off|log|fix))$/)(
        parameter,
      ) || text(/^module\.sig_enforce(?:=(?:0|n|N))$/)(parameter),
  },
];

/**
 * Judges an addon apart from its signature.
 *
 * Problems: `addon.kernel`, `addon.section.ignored`, `addon.initrd`, `addon.cmdline.too-long`, `addon.cmdline.character`,
 * `addon.cmdline.digest`, `addon.cmdline.verity-optional`, `addon.cmdline.init`, `addon.cmdline.root`,
 * `addon.cmdline.shell`, `addon.cmdline.unit`, `addon.cmdline.security-module`, `addon.cmdline.kernel-protection`.
 *
 * @param path for messages
 * @see systemd-stub(7), "Companion Files"
 */
export function checkAddon(addon: Uki, path: string): AddonProblem[] {
  const problems: AddonProblem[] = [];
  const add = (code: string, breaksSeal: boolean, message: string, hint?: string): void => {
    problems.push({ code, breaksSeal, message: `${path}: ${message}`, path, ...(hint === undefined ? {} : { hint }) });
  };
  if (addon.kind !== "addon")
    add("addon.kernel", true, `found a ${addon.kind}, which the stub does not take for an addon`);
  const names = [...addon.base, ...addon.profiles.flatMap(({ sections }) => sections)].map(({ name }) => name);
  const ignored = names.filter((name) => !USED_SECTIONS.has(name) && !STUB_SECTIONS.has(name) && name !== ".linux");
  if (ignored.length > 0 && addon.kind === "addon") {
    add("addon.section.ignored", false, `found ${ignored.join(" ")}, which the stub ignores in an addon`);
  }
  if (findSection(addon, ".initrd") !== undefined) {
    const why = "found .initrd, whose files replace those of the initramfs that checks the digest";
    add("addon.initrd", false, why);
  }
  for (const problem of checkAddonCommandLine(findText(addon, ".cmdline") ?? "")) {
    problems.push({ ...problem, message: `${path}: ${problem.message}`, path });
  }
  return problems;
}

/** What an addon's command line does to a seal; it stands behind that of the UKI. */
export function checkAddonCommandLine(commandLine: string): AddonProblem[] {
  const problems: AddonProblem[] = [];
  try {
    requirePlainCommandLine(commandLine);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    problems.push({ code: "addon.cmdline.character", breaksSeal: true, message: error.message });
  }
  if (commandLine.length > MAX_COMMAND_LINE) {
    const message = `found a command line of ${commandLine.length} bytes, expected at most ${MAX_COMMAND_LINE}`;
    problems.push({ code: "addon.cmdline.too-long", breaksSeal: true, message });
  }
  for (const parameter of parseCommandLine(commandLine)) {
    const rule = WEAKENING.find(({ matches }) => matches(parameter));
    if (rule === undefined || problems.some(({ code }) => code === rule.code)) continue;
    const message = `found ${quote(parameter.text)} on the command line, with which ${rule.effect}`;
    problems.push({ code: rule.code, breaksSeal: rule.breaksSeal, message });
  }
  return problems;
}
