/** Why a boot stopped, as its serial console tells. */
export interface Diagnosis {
  readonly code: string;
  readonly message: string;
  /** The guest's own words. */
  readonly evidence: string;
  /** Nothing more will happen: the machine can be ended. */
  readonly final: boolean;
}

interface Sign {
  readonly code: string;
  readonly pattern: RegExp;
  readonly message: string;
  readonly final: boolean;
}

/**
 * What consoles say, the most telling first: firmware ends every refusal with "No bootable option", which says nothing
 * about why.
 */
const SIGNS: readonly Sign[] = [
  {
    code: "machine.refused.boot-loader",
    pattern: /BdsDxe: failed to load .*Access Denied.*/,
    message: "the firmware does not accept the signature of the boot loader",
    final: true,
  },
  {
    code: "machine.refused.uki",
    pattern: /Error loading (?:EFI binary )?.*[Aa]ccess denied.*/,
    message: "the firmware does not accept the signature of the unified kernel image",
    final: true,
  },
  {
    code: "machine.refused.image",
    pattern: /composefs: boot refused: .*/,
    message: "the initial RAM file system does not accept the image on the disk",
    final: true,
  },
  {
    code: "machine.no-root-device",
    pattern: /Gave up waiting for (?:root|suspend).*device.*|ALERT! .* does not exist.*|Timed out waiting for device.*/,
    message: "the root device was not found",
    final: true,
  },
  {
    code: "machine.no-boot-entry",
    pattern:
      /No loader found\. Configuration files in.*|Error (?:opening|loading|reading) .*\.efi.*: (?!.*[Aa]ccess).*/,
    message: "systemd-boot has nothing it can start",
    final: true,
  },
  {
    code: "machine.emergency-mode",
    pattern: /You are in emergency mode.*|Entering emergency mode.*|Cannot open access to console, the root account.*/,
    message: "systemd gave up before the system was up",
    final: true,
  },
  {
    code: "machine.kernel-panic",
    pattern: /Kernel panic - not syncing: .*/,
    message: "the kernel stopped",
    final: true,
  },
  {
    code: "machine.no-boot-loader",
    pattern: /BdsDxe: No bootable option or device was found.*/,
    message: "the firmware found nothing to start",
    final: true,
  },
  {
    code: "machine.verity-failure",
    pattern: /fs-verity .*FILE CORRUPTED.*|.*has (?:the wrong|no) fs-verity digest.*/,
    message: "a file on the disk is not the one that was sealed, and cannot be read",
    final: false,
  },
  {
    code: "machine.timer",
    pattern: /MP-BIOS bug: 8254 timer not connected.*(?=\s*$)/,
    message: "the emulated timer was too slow for the kernel; another boot usually works",
    final: false,
  },
];

/**
 * Looks for the reason why a boot stopped.
 *
 * @param serial what the serial console said so far, terminal escapes and all
 */
export function diagnose(serial: string): Diagnosis | undefined {
  const text = stripEscapes(serial);
  for (const { code, pattern, message, final } of SIGNS) {
    const evidence = pattern.exec(text)?.[0].trim().slice(0, 300);
    if (evidence !== undefined) return { code, message, evidence, final };
  }
  return undefined;
}

/** The last lines of a console, for a message. */
export function tailOf(serial: string, lines = 12): string {
  const all = stripEscapes(serial)
    .split("\n")
    .filter((line) => line.trim() !== "");
  return all
    .slice(-lines)
    .map((line) => line.slice(0, 200))
    .join("\n");
}

/** Leaves out terminal control: CSI and OSC sequences, other escapes, carriage returns and other control characters. */
export function stripEscapes(text: string): string {
  const escape = String.fromCharCode(0x1b);
  return text
    .replaceAll(new RegExp(`${escape}\\[[0-?]*[ -/]*[@-~]`, "g"), "")
    .replaceAll(new RegExp(`${escape}[\\]P][^${escape}\\u0007]*(?:\\u0007|${escape}\\\\)`, "g"), "")
    .replaceAll(new RegExp(`${escape}.?`, "g"), "")
    .replaceAll(/[^\P{Cc}\n\t]/gu, "");
}
