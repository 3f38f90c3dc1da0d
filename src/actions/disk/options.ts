import type { Progress } from "../../lib/progress.ts";
import type { Registries } from "../../model/registry/index.ts";

/** What is asked of the image that goes onto a disk. */
export interface DeploymentOptions {
  /** Where the host looks for updates, as bootc writes it in an origin: `ostree-unverified-image:docker://...`. */
  readonly targetReference?: string | undefined;
  /** Refused for sealed images. */
  readonly kernelArguments?: readonly string[];
  /** `composefs=?<digest>` for unsealed images. */
  readonly allowMissingVerity?: boolean;
  /** Addons of the image by name, or files that end in `.addon.efi`. */
  readonly ukiAddons?: readonly string[];
  readonly platform?: string | undefined;
  /** Needed for an image in a registry. */
  readonly registries?: Registries | undefined;
  /** SOURCE_DATE_EPOCH; otherwise the image's own time. */
  readonly buildTime?: Date | undefined;
  readonly cacheDirectory?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly progress?: Progress | undefined;
}

export interface DiskOptions extends DeploymentOptions {
  /** The file to write. */
  readonly output: string;
  readonly overwrite?: boolean;
  readonly format?: DiskFormat;
  /** Bytes of the whole disk; the root partition takes what the others leave. */
  readonly size?: number | undefined;
  /** Bytes of the root partition. */
  readonly rootSize?: number | undefined;
  /** Bytes of the ESP. Default: 1 GiB, or more where the UKI is so large that three of them would not fit. */
  readonly espSize?: number | undefined;
  readonly filesystem?: string | undefined;
  readonly hostname?: string | undefined;
  /** Files with authorized keys of root, one key a line. */
  readonly rootSshAuthorizedKeys?: string | undefined;
  readonly users?: readonly UserOptions[];
  /** Directory with PK.auth, KEK.auth and db.auth, which systemd-boot enrols in setup mode. */
  readonly enrollKeys?: string | undefined;
  /** Random bytes for identifiers that are derived from the image otherwise. */
  readonly randomBytes?: ((size: number) => Uint8Array) | undefined;
}

export interface UserOptions {
  readonly name: string;
  /** File with authorized keys. */
  readonly authorizedKeys?: string | undefined;
}

export interface UpdateOptions extends DeploymentOptions {
  /** The file to write; the disk itself when absent. */
  readonly output?: string | undefined;
  /** Replace `output` when it exists. */
  readonly overwrite?: boolean;
  /** Bytes of the updated disk: it grows at its end, and the root partition with it. */
  readonly size?: number | undefined;
}

export const DISK_FORMATS = ["raw", "qcow2", "vmdk", "vhd", "gce", "raw.zst"] as const;
export type DiskFormat = (typeof DISK_FORMATS)[number];

const MIB = 1 << 20;

/** What the size of a disk must be a multiple of: Google Cloud takes whole GiB, Azure whole MiB. */
export const SIZE_UNITS: Readonly<Record<DiskFormat, number>> = {
  raw: 512,
  qcow2: 512,
  vmdk: MIB,
  vhd: MIB,
  gce: 1024 * MIB,
  "raw.zst": 512,
};
