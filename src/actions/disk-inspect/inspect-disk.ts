/** What is on a disk: partitions, file systems, boot loader, entries, deployments, repository. */
import { parseGpt } from "../../formats/gpt/index.ts";
import type { ByteSource } from "../../lib/bytes/byte-source.ts";
import { showGuid } from "../../lib/bytes/guid.ts";
import { SealwrightError } from "../../lib/errors.ts";
import { listEspFiles } from "../../model/disk/esp.ts";
import { openDisk } from "../../model/disk/open-disk.ts";
import { openEsp, openRoot } from "../../model/disk/partitions.ts";
import type { OsProblem } from "../../model/os/index.ts";
import { describeEsp } from "./esp.ts";
import { describePartition } from "./partitions.ts";
import type { DiskReport } from "./report.ts";
import { describeDeployments, describeRepository } from "./root.ts";

/**
 * Describes a raw or qcow2 disk. What cannot be read is left out, and told as a problem.
 *
 * @throws {FormatError} `gpt.*`
 * @throws what `openDisk` throws
 */
export async function inspectDisk(path: string): Promise<DiskReport> {
  await using disk = await openDisk(path);
  return { disk: path, format: disk.file.format, fileSize: disk.file.fileSize, ...describeDisk(disk.source) };
}

/** @throws {FormatError} `gpt.*` */
export function describeDisk(source: ByteSource): Omit<DiskReport, "disk" | "format" | "fileSize"> {
  const table = parseGpt(source);
  const problems: OsProblem[] = [];
  const attempt = <T>(what: string, work: () => T): T | null => {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof SealwrightError)) throw error;
      problems.push({ code: error.code, message: `${what}: ${error.message}` });
      return null;
    }
  };

  const partitions = table.partitions.map((partition, index) => describePartition(source, partition, index, attempt));
  const esp = attempt("ESP", () => {
    const { volume } = openEsp(source, table);
    return describeEsp(volume, listEspFiles(volume), attempt);
  });
  const root = attempt("root", () => openRoot(source, table).volume);
  const repository = root && attempt("repository", () => describeRepository(root, attempt));
  const deployments =
    root && attempt("deployments", () => describeDeployments(root, esp, repository?.images ?? new Map()));
  problems.push(...(esp?.problems ?? []), ...(repository?.problems ?? []));
  return {
    size: source.size,
    guid: showGuid(table.diskGuid),
    partitions,
    esp: esp?.report ?? null,
    deployments: deployments ?? [],
    repository: repository?.report ?? null,
    problems,
  };
}
