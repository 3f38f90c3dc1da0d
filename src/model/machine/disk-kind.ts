import { type PartitionTable, parseGpt } from "../../formats/gpt/index.ts";
import { equalBytes } from "../../lib/bytes/numbers.ts";
import { ROOT_TYPES } from "../disk/layout.ts";
import { type DiskFormat, openDisk } from "../disk/open-disk.ts";
import type { Architecture } from "./firmware.ts";

export interface DiskKind {
  readonly format: DiskFormat;
  /** Of the system on it, by the type of its root partition; x86_64 where that says nothing. */
  readonly architecture: Architecture;
}

/**
 * What a machine has to be to run a disk.
 *
 * @throws {FormatError} `gpt.…` when it has no partition table, as every disk with a sealed system has
 * @throws as `openDisk`
 */
export async function loadDiskKind(path: string): Promise<DiskKind> {
  await using disk = await openDisk(path);
  return { format: disk.file.format, architecture: architectureOf(parseGpt(disk.source)) };
}

export function architectureOf({ partitions }: PartitionTable): Architecture {
  return partitions.some(({ typeGuid }) => equalBytes(typeGuid, ROOT_TYPES.aa64)) ? "aarch64" : "x86_64";
}
