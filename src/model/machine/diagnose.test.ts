import { describe, expect, test } from "vitest";
import { diagnose, stripEscapes, tailOf } from "./diagnose.ts";

/** What real boots said, terminal control included. */
const consoles = [
  [
    "a boot loader that nobody signed",
    "machine.refused.boot-loader",
    true,
    `\u001b[2J\u001b[01;01HBdsDxe: failed to load Boot0001 "UEFI Misc Device" from PciRoot(0x0)/Pci(0x1,0x0): Access Denied\r\nBdsDxe: No bootable option or device was found.\r\nBdsDxe: Press any key to enter the Boot Manager Menu.\r\n`,
  ],
  [
    "a UKI that nobody signed",
    "machine.refused.uki",
    true,
    "BdsDxe: starting Boot0001\r\n\u001b[0mError loading EFI binary \\EFI\\Linux\\os.efi: Access denied\r\nBdsDxe: No bootable option or device was found.\r\n",
  ],
  [
    "an image with another digest",
    "machine.refused.image",
    true,
    "Begin: Mounting root file system ... composefs: boot refused: image 38e4 has the fs-verity digest sha512:00\r\n",
  ],
  [
    "a disk without its root",
    "machine.no-root-device",
    true,
    "Gave up waiting for root file system device.  Common problems:\r\nALERT!  PARTLABEL=root does not exist.  Dropping to a shell!\r\n",
  ],
  [
    "init that cannot be read",
    "machine.kernel-panic",
    true,
    "[   20.1] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100\r\n",
  ],
  [
    "a system that gave up",
    "machine.emergency-mode",
    true,
    '[   24.0] systemd[1]: local-fs.target: failed\r\nYou are in emergency mode. After logging in, type "journalctl -xb"\r\n',
  ],
  ["an empty disk", "machine.no-boot-loader", true, "BdsDxe: No bootable option or device was found.\r\n"],
  [
    "a changed file in a running system",
    "machine.verity-failure",
    false,
    `[   31.5] fs-verity (vda2, inode 1234): FILE CORRUPTED! pos=0, level=-1, want_hash=sha512:00\r\n`,
  ],
] as const;

describe("diagnose()", () => {
  test.each(consoles)("knows %s", (_, code, final, serial) => {
    expect(diagnose(serial)).toMatchObject({ code, final });
  });

  test("says nothing of a boot that goes well", () => {
    expect(diagnose("BdsDxe: starting Boot0001\r\nEFI stub: UEFI Secure Boot is enabled.\r\nlocalhost login: ")).toBe(
      undefined,
    );
  });

  test("keeps what the guest said to one bounded line without control characters", () => {
    const { evidence = "" } = diagnose(`composefs: boot refused: \u001b[31m${"x".repeat(5000)}\u0007\r\nmore`) ?? {};
    expect(evidence).toMatch(/^composefs: boot refused: x+$/);
    expect(evidence.length).toBeLessThanOrEqual(300);
  });
});

test("stripEscapes() leaves the text alone", () => {
  expect(stripEscapes("\u001b]3008;start=1\u001b\\a\u001b[0;1;39mb\u001b[0m\r\nc\u001b]0;title\u0007d")).toBe("ab\ncd");
});

test("tailOf() gives the last lines that say something", () => {
  expect(tailOf("one\r\n\r\ntwo\r\n \r\nthree\r\n", 2)).toBe("two\nthree");
});
