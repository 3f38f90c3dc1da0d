/** Builds the disk of an image: everything bootc would install, written from the layers to one file. */
import { computeFsverityDigest } from "../../formats/fsverity/index.ts";
import { partitionOffset, partitionSize } from "../../formats/gpt/index.ts";
import { parseReference } from "../../formats/oci/index.ts";
import { alignUp, showSize, toHex } from "../../lib/bytes/numbers.ts";
import { PolicyError, UnsupportedError, UsageError, VerificationError } from "../../lib/errors.ts";
import type { WorkerPool } from "../../lib/hash/worker-pool.ts";
import { silent } from "../../lib/progress.ts";
import {
  COMPOSEFS_FORMATS,
  type ComposefsFormat,
  DEFAULT_COMPOSEFS_FORMAT,
  encodeComposefsImage,
} from "../../model/composefs/index.ts";
import type { DiskContent } from "../../model/disk/content.ts";
import { derivedIdentity, type IdentitySource } from "../../model/disk/identity.ts";
import { openImage } from "../../model/image/open-image.ts";
import { openVerityPool } from "../../model/layer/verity-pool.ts";
import type { OsProblem } from "../../model/os/index.ts";
import { encodeMeta, LayerStream, memoryObject, RepositoryBuilder } from "../../model/repository/index.ts";
import { toCanonicalTree } from "../../model/source/canonical-tree.ts";
import { type ImageTree, readImage } from "../../model/source/tree-source.ts";
import type { Content } from "../../model/tree/tree.ts";
import { loadAddons } from "./addons.ts";
import { type BootParts, findBootParts } from "./boot-parts.ts";
import { customize } from "./customize.ts";
import { loadEnrolmentKeys } from "./enrolment-keys.ts";
import { type Entry, listEspFiles, makeEntry, toFatTree } from "./esp.ts";
import { type DiskOptions, SIZE_UNITS } from "./options.ts";
import { encodeOrigin } from "./origin.ts";
import { type DiskPlan, planDisk } from "./plan.ts";
import type { DiskReport } from "./report.ts";
import { buildRootTree } from "./root-tree.ts";
import { writeDisk } from "./write-disk.ts";

/** The hash of every digest in it: the one that bootc knows. */
const ALGORITHM = "sha512";

/**
 * Builds a bootable disk as any user, without mounting anything.
 *
 * Every layer is inflated twice: once to learn what is in it, once to write it. The same image and the same options
 * give the same bytes.
 *
 * @throws {UsageError} `disk.source-not-image`, and those of the options
 * @throws {PolicyError} `disk.*-too-small`, `disk.karg-sealed`, and those of `findBootParts`
 * @throws {VerificationError} `disk.digest-differs` when the UKI does not name the digest of its image
 */
export async function buildDisk(reference: string, options: DiskOptions): Promise<DiskReport> {
  const { progress = silent } = options;
  requireFilesystem(options.filesystem);
  requireWholeUnits(options);
  const addons = await loadAddons(options.ukiAddons ?? []);
  const keys = options.enrollKeys === undefined ? new Map() : await loadEnrolmentKeys(options.enrollKeys);

  const streams: LayerStream[] = [];
  await using pool = openVerityPool();
  await using source = await readSource(reference, options, pool, streams);
  const { image, layers: records } = source;
  const parts = await findBootParts(source, addons.names);
  refuseKernelArguments(parts, options);
  const etcFiles = await customize(source.tree, options);

  progress({ step: "disk.plan", text: "laying out the disk" });
  const deployment = await composeDeployment(source, parts);
  const repository = new RepositoryBuilder(ALGORITHM);
  repository.addContents(records);
  const id = repository.addImage(deployment.erofs);
  await repository.addOciImage(image, streams, { hex: id, version: deployment.format.version });

  const contentOf = (content: Content): { size: number; content: DiskContent } => {
    if (content.kind === "inline") return { size: content.bytes.length, content: content.bytes };
    const object = content.kind === "external" ? repository.objectOf(content) : undefined;
    if (object === undefined) throw new Error("a content that is in no layer");
    return { size: object.size, content: object.kind === "memory" ? object.bytes : object };
  };
  const time = diskTime(source, options);
  const espInput = {
    parts,
    id,
    kernelArguments: options.kernelArguments ?? [],
    allowMissingVerity: options.allowMissingVerity ?? false,
    addonFiles: addons.files,
    keys,
    contentOf,
  };
  const entry = makeEntry(espInput, "primary");
  const espFiles = listEspFiles(espInput, entry);
  const origin = encodeOrigin({
    reference: updateReference(reference, image.manifestDigest, options),
    bootType: parts.type,
    bootDigest: parts.bootDigest,
    manifestDigest: image.manifestDigest,
  });
  const plan = planDisk({
    architecture: parts.architecture,
    identity: identityOf(options, image.manifestDigest, id),
    time,
    espTree: toFatTree(espFiles),
    espSize: options.espSize ?? defaultEspSize([...espFiles.values()].map(({ size }) => size)),
    rootTree: buildRootTree({
      tree: source.tree,
      repository,
      meta: memoryObject(encodeMeta(ALGORITHM, deployment.format.version), ALGORITHM),
      contentOf,
      id,
      origin,
      etcFiles,
      time,
    }),
    rootSize: options.rootSize,
    size: options.size,
    sizeUnit: SIZE_UNITS[options.format ?? "raw"],
  });

  const written = await writeDisk(plan, { ...options, layers: image.layers, algorithm: ALGORITHM, pool });
  return report(source, {
    options,
    plan,
    parts,
    entry,
    deployment: { id, format: deployment.format },
    repository,
    written,
  });
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

async function readSource(
  reference: string,
  options: DiskOptions,
  pool: WorkerPool,
  streams: LayerStream[],
): Promise<ImageTree> {
  const { cacheDirectory, platform, progress, registries, signal } = options;
  if (/^(?:dir|dump|erofs):/.test(reference)) {
    throw new UsageError(
      "disk.source-not-image",
      `${reference}: a disk is built from an image, which hosts can update`,
      {
        hint: "name an image: oci:DIR[:TAG], oci-archive:FILE or docker-archive:FILE",
      },
    );
  }
  const image = await openImage(reference, { registries, ...(platform && { platform }), ...(signal && { signal }) });
  return await readImage(image, {
    algorithms: [ALGORITHM],
    cacheDirectory,
    pool,
    progress,
    signal,
    tap: ({ index }) => (streams[index] = new LayerStream(ALGORITHM)),
  });
}

function refuseKernelArguments(parts: BootParts, { allowMissingVerity, kernelArguments = [] }: DiskOptions): void {
  if (parts.type === "bls") return;
  if (kernelArguments.length > 0) {
    throw new PolicyError(
      "disk.karg-sealed",
      `--karg ${kernelArguments[0]}: the command line of a sealed image is part of its signed UKI`,
      {
        hint:
          "seal with --karg, or build and sign an addon (sealwright uki build --stub addonx64.efi.stub --cmdline ...) " +
          "and add it with --uki-addon FILE",
      },
    );
  }
  if (allowMissingVerity === true) {
    throw new PolicyError("disk.verity-sealed", "--allow-missing-verity: the UKI says whether fs-verity is required", {
      hint: "seal with --allow-missing-verity",
    });
  }
}

/** An image that is not in a registry has no name that means anything to a host, and the same image is the same disk. */
function updateReference(reference: string, manifestDigest: string, { targetReference }: DiskOptions): string {
  if (targetReference !== undefined) return targetReference;
  const name = isInRegistry(reference) ? reference.replace(/^docker:\/\//, "") : `localhost/image@${manifestDigest}`;
  return `ostree-unverified-image:docker://${name}`;
}

const isInRegistry = (reference: string): boolean => parseReference(reference).transport === "docker";

interface Deployment {
  readonly erofs: Uint8Array;
  readonly format: ComposefsFormat;
}

/** The EROFS image that the host mounts, in the format that the UKI names by its digest. Changes the tree. */
async function composeDeployment(source: ImageTree, parts: BootParts): Promise<Deployment> {
  await toCanonicalTree(source, false);
  if (parts.type === "bls") {
    return { erofs: encodeComposefsImage(source.tree, DEFAULT_COMPOSEFS_FORMAT), format: DEFAULT_COMPOSEFS_FORMAT };
  }
  const { digestHex } = parts.argument;
  const candidates = COMPOSEFS_FORMATS.filter(({ algorithm }) => algorithm === ALGORITHM).sort(
    (a, b) => Number(b === DEFAULT_COMPOSEFS_FORMAT) - Number(a === DEFAULT_COMPOSEFS_FORMAT),
  );
  const computed: Record<string, string> = {};
  for (const format of candidates) {
    const erofs = encodeComposefsImage(source.tree, format);
    const hex = toHex(computeFsverityDigest(erofs, ALGORITHM));
    if (hex === digestHex) return { erofs, format };
    computed[format.name] = hex;
  }
  throw new VerificationError(
    "disk.digest-differs",
    `${parts.uki.path} names the digest ${digestHex}, the layers give ${computed[DEFAULT_COMPOSEFS_FORMAT.name]}`,
    {
      data: { expected: digestHex, computed },
      hint: "seal the image again, or ask sealwright explain for the difference",
    },
  );
}

function diskTime({ image }: ImageTree, { buildTime }: DiskOptions): number {
  const created = Date.parse(image.config.created ?? "");
  const time = buildTime?.getTime() ?? (Number.isNaN(created) ? 0 : created);
  return Math.max(0, Math.floor(time / 1000));
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

const hasUpdateReference = (reference: string, { targetReference }: DiskOptions): boolean =>
  targetReference !== undefined || isInRegistry(reference);

const NO_UPDATES: OsProblem = {
  code: "disk.update-reference",
  message: "the image is not from a registry: the host does not know where to look for updates",
  hint: "name a place with --target-imgref ostree-unverified-image:docker://HOST/NAME:TAG",
};

interface Built {
  readonly options: DiskOptions;
  readonly plan: DiskPlan;
  readonly parts: BootParts;
  readonly entry: Entry;
  readonly deployment: { readonly id: string; readonly format: ComposefsFormat };
  readonly repository: RepositoryBuilder;
  readonly written: { readonly size: number };
}

function report({ image, name }: ImageTree, built: Built): DiskReport {
  const { deployment, entry, options, parts, plan, repository, written } = built;
  const objects = [...repository.objects.values()];
  return {
    source: name,
    manifestDigest: image.manifestDigest,
    output: options.output,
    format: options.format ?? "raw",
    size: plan.size,
    fileSize: written.size,
    partitions: plan.partitions.map((partition) => ({
      name: partition.name,
      offset: partitionOffset(partition),
      size: partitionSize(partition),
    })),
    deployment: {
      id: deployment.id,
      format: deployment.format.name,
      bootType: parts.type,
      bootDigest: parts.bootDigest,
    },
    entry: entry.path,
    objects: { count: objects.length, size: objects.reduce((sum, { size }) => sum + size, 0) },
    esp: { freeSize: plan.esp.freeSize },
    root: { freeSize: plan.root.freeSize, freeInodes: plan.root.freeInodes },
    warnings: [...parts.warnings, ...(hasUpdateReference(name, options) ? [] : [NO_UPDATES])],
  };
}
