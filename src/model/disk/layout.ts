/**
 * A disk as bootc installs it with systemd-boot: names, places and types, for those who write disks and those who
 * read them.
 *
 *     GPT      BIOS-BOOT | EFI-SYSTEM (FAT32) | root (ext4 with fs-verity)
 *
 * @see bootc specification, sections 3.3 to 3.9 and 5.6
 */
import { PARTITION_TYPES } from "../../formats/gpt/index.ts";
import type { Guid } from "../../lib/bytes/guid.ts";
import type { Architecture } from "../os/index.ts";

/** Partition names; those of the two file systems are their labels, too. */
export const BIOS_BOOT_NAME = "BIOS-BOOT";
export const ESP_NAME = "EFI-SYSTEM";
export const ROOT_NAME = "root";

/** Partitions start at multiples of this. */
export const PARTITION_ALIGNMENT = 1 << 20;
/** Only on x86-64, and empty: it keeps the numbers of the partitions those of bootc's own installations. */
export const BIOS_BOOT_SIZE = 1 << 20;

/** Type of the root partition (Discoverable Partitions Specification). */
export const ROOT_TYPES: Readonly<Record<Architecture["efi"], Guid>> = {
  x64: PARTITION_TYPES.rootX86_64,
  aa64: PARTITION_TYPES.rootArm64,
};

/** On the ESP; paths without leading slash. */
export const ESP = {
  /** Where firmware looks on a disk it does not know: `EFI/BOOT/BOOTX64.EFI`. */
  fallbackLoader: ({ efi }: Architecture): string => `EFI/BOOT/BOOT${efi.toUpperCase()}.EFI`,
  loader: ({ efi }: Architecture): string => `EFI/systemd/systemd-boot${efi}.efi`,
  /** Below the directory in which systemd-boot looks by itself, so that the type 1 entry is the only one. */
  ukiDirectory: "EFI/Linux/bootc",
  uki: (id: string): string => `EFI/Linux/bootc/bootc_composefs-${id}.efi`,
  addon: (id: string, name: string): string => `EFI/Linux/bootc/bootc_composefs-${id}.efi.extra.d/${name}`,
  /** Kernel and initramfs of an unsealed image. */
  kernelDirectory: (id: string): string => `EFI/Linux/bootc_composefs-${id}`,
  loaderConfig: "loader/loader.conf",
  entries: "loader/entries",
  entriesStandard: "loader/entries.srel",
  /** Below it `auto` and others, with variables for systemd-boot to enrol. */
  keys: "loader/keys",
} as const;

/** On the root file system; paths without leading slash. */
export const ROOT = {
  repository: "composefs",
  /** bootc's own part of the repository: container storage. */
  bootc: "composefs/bootc",
  /** Where older tools look for it. */
  bootcLink: { path: "ostree/bootc", target: "../composefs/bootc" },
  boot: "boot",
  efi: "boot/efi",
  deployments: "state/deploy",
  deployment: (id: string): string => `state/deploy/${id}`,
  etc: (id: string): string => `state/deploy/${id}/etc`,
  varLink: (id: string) => ({ path: `state/deploy/${id}/var`, target: "../../os/default/var" }) as const,
  origin: (id: string): string => `state/deploy/${id}/${id}.origin`,
  /** One for all deployments. */
  var: "state/os/default/var",
} as const;

/** The next to boot, and the one before it. systemd-boot goes by the sort key, GRUB by the file name. */
export type EntryRole = "primary" | "secondary";

const PRIORITIES = {
  primary: { file: 1, sortKey: 0 },
  secondary: { file: 0, sortKey: 1 },
} as const satisfies Record<EntryRole, object>;

export const entryFileName = (osId: string, version: string, role: EntryRole): string =>
  `bootc_${osId.replaceAll("-", "_")}-${version}-${PRIORITIES[role].file}.conf`;

export const entrySortKey = (osId: string, role: EntryRole): string => `bootc-${osId}-${PRIORITIES[role].sortKey}`;
