import type { FileSystemType } from "../../model/disk/partitions.ts";
import type { OsProblem } from "../../model/os/index.ts";

/** What is on a disk. Nothing is verified. */
export interface DiskReport {
  readonly disk: string;
  readonly format: string;
  /** Of the disk, and of the file it is in. */
  readonly size: number;
  readonly fileSize: number;
  readonly guid: string;
  readonly partitions: readonly PartitionReport[];
  readonly esp: EspReport | null;
  readonly deployments: readonly DeploymentReport[];
  readonly repository: RepositoryReport | null;
  /** What could not be read, with the code of the refusal. */
  readonly problems: readonly OsProblem[];
}

export interface PartitionReport {
  readonly number: number;
  readonly name: string;
  readonly type: string;
  /** Known types only. */
  readonly typeName?: string;
  readonly guid: string;
  readonly offset: number;
  readonly size: number;
  readonly fileSystem: FileSystemReport | null;
}

export interface FileSystemReport {
  readonly type: FileSystemType | "fat16" | "fat32";
  readonly label?: string;
  /** `ABCD-0123` for FAT. */
  readonly uuid?: string;
  readonly size?: number;
  readonly free?: number;
  /** ext4 only. */
  readonly verity?: boolean;
}

export interface EspReport {
  readonly bootLoaders: readonly ProgramReport[];
  readonly timeout?: string;
  readonly defaultPattern?: string;
  /** In the order of systemd-boot. */
  readonly entries: readonly EntryReport[];
  readonly ukis: readonly UkiFileReport[];
  readonly addons: readonly AddonReport[];
  /** Files below `loader/keys`, which systemd-boot enrols. */
  readonly keys: readonly string[];
}

export interface ProgramReport {
  readonly path: string;
  readonly size: number;
  /** systemd-boot says it. */
  readonly version?: string;
  /** Whom the signatures name. */
  readonly signers: readonly string[];
}

export interface EntryReport {
  readonly path: string;
  readonly title?: string;
  readonly version?: string;
  readonly sortKey?: string;
  readonly triesLeft?: number;
  readonly uki?: string;
  readonly linux?: string;
  readonly options?: string;
  readonly first: boolean;
}

export interface UkiFileReport extends Omit<ProgramReport, "version"> {
  readonly kernel?: string;
  readonly os?: string;
  readonly commandLine?: string;
  readonly digests: readonly string[];
}

export interface AddonReport extends Omit<ProgramReport, "version"> {
  readonly commandLine?: string;
}

export interface DeploymentReport {
  readonly id: string;
  /** Starts when nobody chooses. */
  readonly first: boolean;
  /** Entries that start it. */
  readonly entries: readonly string[];
  /** Its EROFS image is in the repository. */
  readonly image: boolean;
  readonly etc: boolean;
  readonly var?: string;
  readonly origin?: { readonly image?: string; readonly bootType?: string; readonly manifestDigest?: string };
}

export interface RepositoryReport {
  readonly algorithm?: string;
  readonly erofsFormat?: number;
  /** `meta.json` has fs-verity: every object must have it. */
  readonly secure: boolean;
  readonly objects: { readonly count: number; readonly size: number; readonly withoutVerity: number };
  readonly images: number;
  readonly streams: number;
  readonly references: readonly string[];
}
