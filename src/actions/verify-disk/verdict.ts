import type { ChainVerdict, VerdictBuilder } from "../../model/verdict/verdict.ts";

/** The links of a disk. */
export const DISK_LINKS = {
  partitions: "partition table",
  esp: "ESP",
  "boot-loader": "boot loader",
  entries: "boot entries",
  uki: "UKI",
  "command-line": "command line",
  repository: "repository",
  image: "EROFS image",
  objects: "objects",
  state: "state",
  certificate: "certificate",
} as const;

export type DiskLinkName = keyof typeof DISK_LINKS;

export type DiskVerdictBuilder = VerdictBuilder<DiskLinkName>;

export interface DiskVerdict extends ChainVerdict<DiskLinkName> {
  readonly disk: string;
}
