/**
 * Puts a new image onto a disk that is there, as `bootc upgrade` would on the running machine: the new deployment boots
 * first, the one that booted so far stays as the second, what is beyond two goes.
 *
 *     disk ---read---> trees of ESP and root ---add, merge, remove---> plan ---write---> new file ---rename---> disk
 *     image --read--> deployment, objects ----'                          ^
 *                                           contents: from the old disk, or from the layers
 *
 * Both file systems are read as trees and laid out anew in their partitions. That costs what a copy costs, which an
 * update that must not be half-written needs anyway; and it takes every file system that we can read, however its
 * kernel has left it, with one writer, which is the one that builds disks. Where files lie depends on the tree alone:
 * the same disk and the same image give the same bytes.
 */
import { realpath, stat } from "node:fs/promises";
import { equalBytes } from "../../lib/bytes/numbers.ts";
import { PolicyError } from "../../lib/errors.ts";
import { silent } from "../../lib/progress.ts";
import { ROOT_TYPES } from "../../model/disk/layout.ts";
import { type Disk, openDisk } from "../../model/disk/open-disk.ts";
import type { Image } from "../../model/image/image.ts";
import { openVerityPool } from "../../model/layer/verity-pool.ts";
import { describePartitions } from "./build-disk.ts";
import { ALGORITHM, type Deployment, loadDeployment, openDiskImage, updateReference } from "./load-deployment.ts";
import type { UpdateOptions } from "./options.ts";
import { encodeOrigin } from "./origin.ts";
import type { DiskPlan } from "./plan.ts";
import { labelled } from "./root-tree.ts";
import { requireSealedStays, updateEsp } from "./update/esp.ts";
import { keepArguments } from "./update/kernel-arguments.ts";
import { planUpdate } from "./update/plan.ts";
import type { DiskUpdate, DiskUpdateReport } from "./update/report.ts";
import { readCurrentTree, updateRoot } from "./update/root.ts";
import { readRootTree, readStoredDisk, requireRepository, type StoredDisk } from "./update/stored-disk.ts";
import { writeDisk } from "./write-disk.ts";

/**
 * Updates a raw or qcow2 disk that no machine uses. Until the last step, and after an error or an interruption, it is
 * what it was.
 *
 * /etc of the host is merged with that of the image; /var, the boot loader and every other partition stay as they are.
 * An image whose deployment boots first already changes nothing.
 *
 * @throws {PolicyError} `disk.update.*`, `disk.esp-too-small`, `disk.root-too-small`, and those of `loadDeployment`
 * @throws {UnsupportedError} `ext4.needs-recovery` after a crash, `disk.root.*`
 * @throws {UsageError} `disk.update.size`, `disk.source-not-image`
 * @throws {VerificationError} `disk.digest-differs`, `disk.image.*`, `disk.file.missing`
 */
export async function updateDisk(path: string, reference: string, options: UpdateOptions): Promise<DiskUpdateReport> {
  await using disk = await openDisk(path);
  const stored = readStoredDisk(disk);
  await using image = await openDiskImage(reference, options);
  const { manifestDigest } = image;
  const output = options.output ?? path;
  const about = { disk: path, source: reference, manifestDigest, output, format: disk.file.format };
  const { deployment: current } = stored.current;
  if (current.origin?.manifestDigest === manifestDigest && options.size === undefined) {
    return { ...about, update: null, id: current.id };
  }
  await using pool = openVerityPool();
  const { plan, update } = planImage(stored, reference, image, await loadDeployment(image, options, pool), options);
  const { size } = await writeDisk(plan, {
    ...(await outputOf(disk, options)),
    format: disk.file.format,
    layers: image.layers,
    algorithm: ALGORITHM,
    pool,
    signal: options.signal,
    progress: options.progress,
  });
  return { ...about, id: update.deployment.id, update: { ...update, fileSize: size } };
}

/** The disk itself is replaced behind all links to it, and keeps its mode. */
async function outputOf(
  { file: { path } }: Disk,
  { output, overwrite = false }: UpdateOptions,
): Promise<{ readonly output: string; readonly overwrite: boolean; readonly mode?: number }> {
  if (output !== undefined) return { output, overwrite };
  const { mode } = await stat(path);
  return { output: await realpath(path), overwrite: true, mode: mode & 0o777 };
}

interface PlannedUpdate {
  readonly plan: DiskPlan;
  readonly update: Omit<DiskUpdate, "fileSize">;
}

function planImage(
  stored: StoredDisk,
  reference: string,
  image: Image,
  deployment: Deployment,
  options: UpdateOptions,
): PlannedUpdate {
  const { progress = silent } = options;
  const { id, parts, time } = deployment;
  requireArchitecture(stored, deployment);
  requireSealedStays(stored, deployment);
  progress({ step: "disk.plan", text: "reading the disk" });
  const tree = readRootTree(stored, labelled(deployment.tree, "usr", time));
  requireRepository(tree);
  const currentTree = readCurrentTree(stored, tree);
  const { deployment: current, entry: currentEntry } = stored.current;
  const kept = keepArguments(currentEntry.entry.options, parts, currentTree, tree);
  // The tree may be there under another UKI or manifest: its deployment is replaced then, and takes the first place.
  const stays = [stored.current, ...stored.others].find((one) => one.deployment.id !== id);
  const keptId = stays?.deployment.id;
  const esp = updateEsp({
    stored,
    deployment,
    kept: stays,
    kernelArguments: [...kept.kernelArguments, ...(options.kernelArguments ?? [])],
    allowMissingVerity: options.allowMissingVerity || kept.allowMissingVerity,
  });
  const { manifestDigest } = image;
  const origin = encodeOrigin({
    reference:
      updateReference(reference, options) ??
      current.origin?.image ??
      `ostree-unverified-image:docker://localhost/image@${manifestDigest}`,
    bootType: parts.type,
    bootDigest: parts.bootDigest,
    manifestDigest,
  });
  const root = updateRoot({ stored, deployment, tree, currentTree, keptId, origin });
  const plan = planUpdate({ stored, espFiles: esp.files, rootTree: root.tree, time, size: options.size });
  const update = {
    size: plan.size,
    partitions: describePartitions(plan),
    deployment: { id, format: deployment.format.name, bootType: parts.type, bootDigest: parts.bootDigest },
    entry: esp.entry.path,
    kept: keptId === undefined ? null : { id: keptId, entry: esp.secondary ?? "" },
    dropped: stored.deployments.map((one) => one.id).filter((one) => one !== id && one !== keptId),
    etc: root.etc,
    objects: root.objects,
    esp: { freeSize: plan.esp.freeSize },
    root: { freeSize: plan.root.freeSize, freeInodes: plan.root.freeInodes },
    warnings: [...kept.warnings, ...esp.warnings, ...root.warnings],
  };
  return { plan, update };
}

function requireArchitecture({ root: { partition } }: StoredDisk, { parts: { architecture } }: Deployment): void {
  if (equalBytes(partition.typeGuid, ROOT_TYPES[architecture.efi])) return;
  throw new PolicyError(
    "disk.update.architecture",
    `the image is for ${architecture.oci}, the root partition of the disk is of another architecture`,
  );
}
