import { lookup, type Tree } from "../tree/tree.ts";
import type { Architecture } from "./architecture.ts";
import { findFile, type OsFile } from "./files.ts";
import type { OsProblem } from "./problem.ts";

const EFI_DIRECTORY = "/usr/lib/systemd/boot/efi";

/** systemd's EFI programs in the image, for one architecture. */
export interface BootLoader {
  readonly systemdBoot?: OsFile;
  /** `bootctl install` takes it in place of the plain one when it is there. */
  readonly systemdBootSigned?: OsFile;
  /** The stub that UKIs are built on. */
  readonly stub?: OsFile;
  readonly addonStub?: OsFile;
}

/** Where systemd has its EFI programs; the first is what `bootctl install` copies to the ESP. */
export const efiPaths = ({ efi }: Architecture) => ({
  systemdBoot: `${EFI_DIRECTORY}/systemd-boot${efi}.efi`,
  systemdBootSigned: `${EFI_DIRECTORY}/systemd-boot${efi}.efi.signed`,
  stub: `${EFI_DIRECTORY}/linux${efi}.efi.stub`,
  addonStub: `${EFI_DIRECTORY}/addon${efi}.efi.stub`,
});

export function findBootLoader(tree: Tree, architecture: Architecture): BootLoader {
  const found: { -readonly [K in keyof BootLoader]: BootLoader[K] } = {};
  for (const [name, path] of Object.entries(efiPaths(architecture)) as [keyof BootLoader, string][]) {
    const file = findFile(tree, path);
    if (file !== undefined) found[name] = file;
  }
  return found;
}

/** What makes an installer choose GRUB, by bootc's detection. */
const BOOTUPD_PATHS = ["/usr/lib/bootupd/updates", "/usr/bin/bootupctl", "/usr/sbin/bootupctl"];

/**
 * Problems: `image.systemd-boot-missing`, `image.systemd-boot-signed-twice`, `image.stub-missing`,
 * `image.bootupd-present`.
 */
export function checkBootLoader(tree: Tree, architecture: Architecture): OsProblem[] {
  const paths = efiPaths(architecture);
  const { systemdBoot, systemdBootSigned, stub } = findBootLoader(tree, architecture);
  const problems: OsProblem[] = [];
  if (systemdBoot === undefined) {
    problems.push({
      code: "image.systemd-boot-missing",
      message: `${paths.systemdBoot}: found nothing, expected the boot loader`,
      path: paths.systemdBoot,
      hint: "install systemd-boot-efi (Debian) or systemd-boot-unsigned (Fedora) in the image",
    });
  }
  if (systemdBootSigned !== undefined) {
    problems.push({
      code: "image.systemd-boot-signed-twice",
      message: `${paths.systemdBootSigned}: found a second boot loader, which bootctl installs in place of the plain one`,
      path: paths.systemdBootSigned,
      hint: "remove it (Debian: systemd-boot-efi-amd64-signed), or sign it with your own key too",
    });
  }
  if (stub === undefined) {
    problems.push({
      code: "image.stub-missing",
      message: `${paths.stub}: found nothing, expected the stub of UKIs`,
      path: paths.stub,
      hint: "install systemd-boot-efi (Debian) or systemd-boot-unsigned (Fedora) in the image, or name a stub",
    });
  }
  const bootupd = BOOTUPD_PATHS.find((path) => lookup(tree, path) !== undefined);
  if (bootupd !== undefined) {
    problems.push({
      code: "image.bootupd-present",
      message: `${bootupd}: found bootupd, with which installers choose GRUB and not systemd-boot`,
      path: bootupd,
      hint: "remove bootupd from the image",
    });
  }
  return problems;
}
