/** Builds the disk of an image: everything bootc would install, written from the layers to one file. */
import { partitionOffset, partitionSize } from "../../formats/gpt/index.ts";
import { alignUp, showSize } from "../../lib/bytes/numbers.ts";
import { UnsupportedError, UsageError } from "../../lib/errors.ts";
import { silent } from "../../lib/progress.ts";
import { derivedIdentity, type IdentitySource } from "../../model/disk/identity.ts";
import type { Image } from "../../model/image/image.ts";
import { openVerityPool } from "../../model/layer/verity-pool.ts";
import type { OsProblem } from "../../model/os/index.ts";
import { customize } from "./customize.ts";
import { loadEnrolmentKeys } from "./enrolment-keys.ts";
import { listEspFiles, makeEntry, toFatTree } from "./esp.ts";
import { ALGORITHM, type Deployment, loadDeployment, openDiskImage, updateReference } from "./load-deployment.ts";
import { type DiskOptions, SIZE_UNITS } from "./options.ts";
import { encodeOrigin } from "./origin.ts";
import { type DiskPlan, planDisk } from "./plan.ts";
import type { DiskReport } from "./report.ts";
import { buildRootTree } from "./root-tree.ts";
import { writeDisk } from "./write-disk.ts";

/**
 * Builds a bootable disk as any user, without mounting anything.
 *
 * Every layer is inflated twice: once to learn what is in it, once to write it. The same image and the same options
 * give the same bytes.
 *
 * @throws {UsageError} `disk.source-not-image`, and those of the options
 * @throws {PolicyError} `disk.*-too-small`, and those of `loadDeployment`
 * @throws {VerificationError} `disk.digest-differs` when the UKI does not name the digest of its image
 */
export async function buildDisk(reference: string, options: DiskOptions): Promise<DiskReport> {
  requireFilesystem(options.filesystem);
  requireWholeUnits(options);
  await using pool = openVerityPool();
  await using image = await openDiskImage(reference, options);
  const { plan, report } = await planImage(reference, image, await loadDeployment(image, options, pool), options);
  const { size } = await writeDisk(plan, { ...options, layers: image.layers, algorithm: ALGORITHM, pool });
  return { ...report, fileSize: size };
}

function requireFilesystem(name = "ext4"): void {
  if (name === "ext4") return;
  throw new UnsupportedError("disk.filesystem", `file system "${name}": disks have ext4 so far`, {
    hint: "leave --filesystem out",
  });
}

function requireWholeUnits({ format = "raw", size }: DiskOptions): void {
  const unit = SIZE_UNITS[format];
  if (size === undefined || size % unit === 0) return;
  throw new UsageError(
    "disk.size-unit",
    `--size: found ${size} bytes, expected a multiple of ${showSize(unit)} for ${format}`,
  );
}

interface PlannedDisk {
  readonly plan: DiskPlan;
  readonly report: Omit<DiskReport, "fileSize">;
}

/** Lays out the disk. What goes on from here holds no tree any more: places, and where the contents are. */
async function planImage(
  reference: string,
  image: Image,
  deployment: Deployment,
  options: DiskOptions,
): Promise<PlannedDisk> {
  const { contentOf, id, parts, repository, time, tree } = deployment;
  const { progress = silent } = options;
  const keys = options.enrollKeys === undefined ? new Map() : await loadEnrolmentKeys(options.enrollKeys);
  const etcFiles = await customize(tree, options);
  progress({ step: "disk.plan", text: "laying out the disk" });
  const espInput = {
    parts,
    id,
    kernelArguments: options.kernelArguments ?? [],
    allowMissingVerity: options.allowMissingVerity ?? false,
    addonFiles: deployment.addonFiles,
    keys,
    contentOf,
  };
  const entry = makeEntry({ ...espInput, loaderVersion: parts.loaderVersion }, "primary");
  const espFiles = listEspFiles(espInput, entry);
  const { manifestDigest } = image;
  const updates = updateReference(reference, options);
  const origin = encodeOrigin({
    // The same image is the same disk, whatever it was called.
    reference: updates ?? `ostree-unverified-image:docker://localhost/image@${manifestDigest}`,
    bootType: parts.type,
    bootDigest: parts.bootDigest,
    manifestDigest,
  });
  const plan = planDisk({
    architecture: parts.architecture,
    identity: identityOf(options, manifestDigest, id),
    time,
    espTree: toFatTree(espFiles),
    espSize: options.espSize ?? defaultEspSize([...espFiles.values()].map(({ size }) => size)),
    rootTree: buildRootTree({ deployment, origin, etcFiles, time }),
    rootSize: options.rootSize,
    size: options.size,
    sizeUnit: SIZE_UNITS[options.format ?? "raw"],
  });
  const objects = [...repository.objects.values()];
  const report = {
    source: reference,
    manifestDigest,
    output: options.output,
    format: options.format ?? "raw",
    size: plan.size,
    partitions: describePartitions(plan),
    deployment: {
      id,
      format: deployment.format.name,
      bootType: parts.type,
      bootDigest: parts.bootDigest,
    },
    entry: entry.path,
    objects: { count: objects.length, size: objects.reduce((sum, { size }) => sum + size, 0) },
    esp: { freeSize: plan.esp.freeSize },
    root: { freeSize: plan.root.freeSize, freeInodes: plan.root.freeInodes },
    warnings: [...parts.warnings, ...(updates === undefined ? [NO_UPDATES] : [])],
  };
  return { plan, report };
}

function identityOf({ randomBytes }: DiskOptions, manifestDigest: string, id: string): IdentitySource {
  return randomBytes === undefined ? derivedIdentity(manifestDigest, id) : (_, size) => randomBytes(size);
}

const ESP_SIZE_MIN = 1 << 30;
/** The deployment that runs, the one before it, and one that is being staged. */
const DEPLOYMENTS_ON_ESP = 3;
/** For tables, cluster ends and small files. */
const ESP_SLACK = 16 << 20;

function defaultEspSize(sizes: readonly number[]): number {
  const files = sizes.reduce((sum, size) => sum + size, 0);
  return Math.max(ESP_SIZE_MIN, alignUp(DEPLOYMENTS_ON_ESP * files + ESP_SLACK, 1 << 20));
}

const NO_UPDATES: OsProblem = {
  code: "disk.update-reference",
  message: "the image is not from a registry: the host does not know where to look for updates",
  hint: "name a place with --target-imgref ostree-unverified-image:docker://HOST/NAME:TAG",
};

export const describePartitions = ({ partitions }: DiskPlan): DiskReport["partitions"] =>
  partitions.map((partition) => ({
    name: partition.name,
    offset: partitionOffset(partition),
    size: partitionSize(partition),
  }));
