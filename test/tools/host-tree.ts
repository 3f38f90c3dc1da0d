/**
 * The files by which a running machine can be known: what the kernel and the firmware of a sealed guest showed below
 * /proc and /sys, for the disk at hand.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { EVENT_TYPES } from "../../src/formats/eventlog/index.ts";
import { run } from "./disk.ts";
import type { SealedDisk } from "./sealed-disk.ts";

const GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
const DATABASE = "d719b2cb-3d3a-4596-a3bc-dad00e67656f";
const LOADER = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
export const PARTUUID = "0F2C9A3E-0001-4002-8003-00000000000A";
const EFIVARS = "sys/firmware/efi/efivars";

/** Of a Debian 13 guest: the mounts that matter, and some that do not. */
export const mountinfo = (
  id: string,
): string => `23 33 0:21 / /sys rw,nosuid,nodev,noexec,relatime shared:9 - sysfs sysfs rw
24 33 0:22 / /proc rw,nosuid,nodev,noexec,relatime shared:15 - proc proc rw
25 33 0:6 / /dev rw,nosuid,relatime shared:5 - devtmpfs udev rw,size=458420k,nr_inodes=114605,mode=755,inode64
27 33 0:24 / /run rw,nosuid,nodev,noexec,relatime shared:8 - tmpfs tmpfs rw,size=97092k,mode=755,inode64
33 1 0:25 / / ro,relatime shared:1 - overlay composefs:${id} ro,lowerdir=/run/composefs/erofs::/run/composefs/phys/composefs/objects,redirect_dir=on,metacopy=on,verity=require
34 33 254:3 / /sysroot ro,relatime shared:2 - ext4 /dev/vda3 rw
35 33 254:3 /state/deploy/${id}/etc /etc rw,relatime shared:3 - ext4 /dev/vda3 rw
36 33 254:3 /state/os/default/var /var rw,relatime shared:4 - ext4 /dev/vda3 rw
31 23 0:31 / /sys/firmware/efi/efivars rw,nosuid,nodev,noexec,relatime shared:13 - efivarfs efivarfs rw
48 33 0:37 / /tmp rw,nosuid,nodev shared:22 - tmpfs tmpfs rw,nr_inodes=1048576,inode64
`;

/** Files of a host by path; `null` takes one away. */
export type HostFiles = Readonly<Record<string, string | Uint8Array | null>>;

/**
 * Writes the host that runs a disk, with the keys beside it in the firmware.
 *
 * @param directory where the disk was made
 * @param changes to what a good host has
 */
export function writeHost(root: string, directory: string, disk: SealedDisk, changes: HostFiles = {}): void {
  const esl = (name: string): Uint8Array => readFileSync(join(directory, "keys", `${name}.esl`));
  const files: HostFiles = {
    "proc/cmdline": `rw quiet composefs=${disk.id}\n`,
    "proc/self/mountinfo": mountinfo(disk.id),
    [`${EFIVARS}/SecureBoot-${GLOBAL}`]: Buffer.of(6, 0, 0, 0, 1),
    [`${EFIVARS}/SetupMode-${GLOBAL}`]: Buffer.of(6, 0, 0, 0, 0),
    [`${EFIVARS}/PK-${GLOBAL}`]: variable(0x27, esl("PK")),
    [`${EFIVARS}/KEK-${GLOBAL}`]: variable(0x27, esl("KEK")),
    [`${EFIVARS}/db-${DATABASE}`]: variable(0x27, esl("db")),
    [`${EFIVARS}/LoaderDevicePartUUID-${LOADER}`]: variable(6, Buffer.from(`${PARTUUID}\0`, "utf16le")),
    "sys/kernel/security/lockdown": "none [integrity] confidentiality\n",
    ...changes,
  };
  rmSync(root, { recursive: true, force: true });
  mkdirSync(join(root, "dev/disk/by-partuuid"), { recursive: true });
  symlinkSync(join(directory, "stage"), join(root, "sysroot"));
  run("sh", [
    "-c",
    `dd if="$1" of="$2" bs=1M skip=1 count=64 conv=sparse status=none`,
    "sh",
    disk.path,
    join(root, "dev/vda2"),
  ]);
  symlinkSync("../../vda2", join(root, "dev/disk/by-partuuid", PARTUUID.toLowerCase()));
  for (const [path, content] of Object.entries(files)) {
    if (content === null) continue;
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
}

export const variablePath = {
  global: (name: string): string => `${EFIVARS}/${name}-${GLOBAL}`,
  db: `${EFIVARS}/db-${DATABASE}`,
  dbx: `${EFIVARS}/dbx-${DATABASE}`,
};

export function variable(attributes: number, value: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.of(attributes, 0, 0, 0), value]);
}

/** The event log of a boot that started these programs, by Authenticode digest, and the PCRs of its TPM. */
export function measured(started: readonly Uint8Array[]): HostFiles {
  const events = started.map((digest) => ({ type: EVENT_TYPES.EV_EFI_BOOT_SERVICES_APPLICATION, digest }));
  const pcr4 = started.reduce(
    (value, digest) => createHash("sha256").update(value).update(digest).digest(),
    Buffer.alloc(32),
  );
  const pcrs = Array.from({ length: 24 }, (_, pcr) => (pcr === 4 ? pcr4 : Buffer.alloc(32)));
  return {
    "sys/kernel/security/tpm0/binary_bios_measurements": Buffer.concat([
      header(),
      ...events.map(({ digest, type }) => Buffer.concat([u32(4), u32(type), u32(1), u16(0x000b), digest, u32(0)])),
    ]),
    ...Object.fromEntries(
      pcrs.map((value, pcr) => [`sys/class/tpm/tpm0/pcr-sha256/${pcr}`, `${value.toString("hex").toUpperCase()}\n`]),
    ),
  };
}

/** TCG_EfiSpecIDEvent with the bank SHA-256 alone. */
function header(): Uint8Array {
  const id = [
    Buffer.from("Spec ID Event03\0"),
    u32(0),
    Buffer.of(0, 2, 0, 2),
    u32(1),
    u16(0x000b),
    u16(32),
    Buffer.of(0),
  ];
  const size = id.reduce((sum, { length }) => sum + length, 0);
  return Buffer.concat([u32(0), u32(EVENT_TYPES.EV_NO_ACTION), Buffer.alloc(20), u32(size), ...id]);
}

const u16 = (value: number): Buffer => Buffer.of(value & 0xff, value >> 8);
const u32 = (value: number): Buffer => Buffer.concat([u16(value & 0xffff), u16(value >>> 16)]);
