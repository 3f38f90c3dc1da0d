/** Verifies a disk, link by link, offline: nothing is mounted, nothing is run. */
import { type PartitionTable, parseGpt, partitionOffset, partitionSize } from "../../formats/gpt/index.ts";
import { showSize } from "../../lib/bytes/numbers.ts";
import { InterruptedError } from "../../lib/errors.ts";
import type { Progress } from "../../lib/progress.ts";
import type { RootVolume } from "../../model/disk/check-merkle.ts";
import { type Disk, openDisk } from "../../model/disk/open-disk.ts";
import { openRoot } from "../../model/disk/partitions.ts";
import { requireCertificates } from "../../model/signing/load-certificates.ts";
import { checkValidity } from "../../model/verdict/check-validity.ts";
import { VerdictBuilder } from "../../model/verdict/verdict.ts";
import { readEsp, verifyBootLoader, verifyPrograms } from "./esp.ts";
import { verifyImages } from "./images.ts";
import { verifyMenu } from "./menu.ts";
import { verifyObjects } from "./objects.ts";
import { verifyRepository } from "./repository.ts";
import { verifyState } from "./state.ts";
import { idInName, verifyUkis } from "./ukis.ts";
import { DISK_LINKS, type DiskVerdict } from "./verdict.ts";

export interface VerifyDiskOptions {
  /** Files with certificates of the Secure Boot db, PEM or DER; at least one. */
  readonly certificates: readonly string[];
  /** Accept `composefs=?`. */
  readonly allowMissingVerity?: boolean;
  /** For the validity of the certificates, which firmware does not look at. */
  readonly now: Date;
  readonly signal?: AbortSignal | undefined;
  readonly progress?: Progress | undefined;
}

/**
 * Follows the chain from the certificates over the ESP to every byte of every object.
 *
 * @param path of a raw or qcow2 image
 * @returns what holds and what does not; a broken link hides none of those that can be checked without it
 * @throws {UsageError} `verify.certificate-missing`
 * @throws what `openDisk` throws, when the file is no disk that can be read
 */
export async function verifyDisk(path: string, options: VerifyDiskOptions): Promise<DiskVerdict> {
  const db = { certificates: await requireCertificates(options.certificates) };
  const verdict = new VerdictBuilder(DISK_LINKS);
  const finish = (): DiskVerdict => ({ disk: path, ...verdict.finish() });
  for (const certificate of db.certificates) checkValidity(verdict, certificate, options.now);

  await using disk = await openDisk(path);
  const table = await verdict.check("partitions", () => parseGpt(disk.source), describeTable);
  if (table === undefined) return finish();

  const esp = await verdict.check("esp", () => readEsp(disk.source, table), describeEsp);
  if (esp !== undefined) verifyPrograms(verdict, esp, db);
  if (esp !== undefined) await verifyBootLoader(verdict, esp, db);
  const menu = esp && (await verifyMenu(verdict, esp));
  const ukis = esp && menu ? await verifyUkis(verdict, esp, menu.started, db, options) : [];
  throwIfInterrupted(options.signal);

  const root = await verdict.check("repository", () => openRootVolume(disk, table), describeRoot);
  const repository = root && (await verifyRepository(verdict, root));
  if (root === undefined || repository === undefined) return finish();
  const signed = ukis.map(({ arguments: given }) => given);
  const unsigned = menu?.unsigned ?? [];
  const images = await verifyImages(verdict, root, repository, [...signed, ...unsigned.map((argument) => [argument])]);
  await verifyObjects(verdict, { disk, root, repository, images }, options);
  const digests = [...signed.flat(), ...unsigned].map(({ digestHex }) => digestHex);
  const names = menu?.started.map(({ file }) => idInName(file.path) ?? "") ?? [];
  await verifyState(verdict, root.volume, ukis, new Set([...digests, ...names]));
  return finish();
}

function describeTable({ partitions }: PartitionTable): string {
  const shown = partitions.map((partition) => `${partition.name || "?"} ${showSize(partitionSize(partition))}`);
  return `${partitions.length} partitions: ${shown.join(", ")}; both copies agree`;
}

function describeEsp({ files, volume }: ReturnType<typeof readEsp>): string {
  return `${volume.type.toUpperCase()} "${volume.label}", ${files.length} files`;
}

function openRootVolume(disk: Disk, table: PartitionTable): RootVolume & { readonly size: number } {
  const { partition, volume } = openRoot(disk.source, table);
  return { disk: disk.source, offset: partitionOffset(partition), size: partitionSize(partition), volume };
}

function describeRoot({ volume }: RootVolume): string {
  return `ext4 "${volume.label}", ${showSize(volume.blockCount * volume.blockSize)}`;
}

function throwIfInterrupted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new InterruptedError();
}
