/** Everything that an image brings to a disk, before it is known where it goes. */
import { computeFsverityDigest } from "../../formats/fsverity/index.ts";
import { parseReference } from "../../formats/oci/index.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { PolicyError, UsageError, VerificationError } from "../../lib/errors.ts";
import type { WorkerPool } from "../../lib/hash/worker-pool.ts";
import {
  COMPOSEFS_FORMATS,
  type ComposefsFormat,
  DEFAULT_COMPOSEFS_FORMAT,
  encodeComposefsImage,
} from "../../model/composefs/index.ts";
import type { DiskContent } from "../../model/disk/content.ts";
import type { Image } from "../../model/image/image.ts";
import { openImage } from "../../model/image/open-image.ts";
import { LayerStream, RepositoryBuilder } from "../../model/repository/index.ts";
import { toCanonicalTree } from "../../model/source/canonical-tree.ts";
import { type ImageTree, readImage } from "../../model/source/tree-source.ts";
import type { Content, Tree } from "../../model/tree/tree.ts";
import { loadAddons } from "./addons.ts";
import { type BootParts, findBootParts } from "./boot-parts.ts";
import type { DeploymentOptions } from "./options.ts";

/** The hash of every digest in it: the one that bootc knows. */
export const ALGORITHM = "sha512";

/** The contents of a file, wherever they are. */
export interface PlacedContent {
  readonly size: number;
  readonly content: DiskContent;
}

export interface Deployment {
  /** Digest of its tree, hex. */
  readonly id: string;
  /** Of its EROFS image. */
  readonly format: ComposefsFormat;
  /** As a host sees it. */
  readonly tree: Tree;
  readonly parts: BootParts;
  /** Addons that are no part of the image, by file name. */
  readonly addonFiles: ReadonlyMap<string, Uint8Array>;
  readonly repository: RepositoryBuilder;
  /** Seconds since 1970: SOURCE_DATE_EPOCH, or when the image was made. */
  readonly time: number;
  readonly contentOf: (content: Content) => PlacedContent;
}

/**
 * Opens the image of a reference.
 *
 * @throws {UsageError} `disk.source-not-image`
 */
export async function openDiskImage(reference: string, options: DeploymentOptions): Promise<Image> {
  if (/^(?:dir|dump|erofs):/.test(reference)) {
    throw new UsageError(
      "disk.source-not-image",
      `${reference}: a disk is built from an image, which hosts can update`,
      {
        hint: "name an image: oci:DIR[:TAG], oci-archive:FILE or docker-archive:FILE",
      },
    );
  }
  const { platform, registries, signal } = options;
  return await openImage(reference, { registries, ...(platform && { platform }), ...(signal && { signal }) });
}

/**
 * Reads every layer of an image and composes what a host boots from it.
 *
 * @param image is closed by whoever opened it, after the contents have been written
 * @throws {PolicyError} `disk.karg-sealed`, `disk.verity-sealed`, and those of `findBootParts`
 * @throws {VerificationError} `disk.digest-differs` when the UKI does not name the digest of its image
 */
export async function loadDeployment(image: Image, options: DeploymentOptions, pool: WorkerPool): Promise<Deployment> {
  const addons = await loadAddons(options.ukiAddons ?? []);
  const repository = new RepositoryBuilder(ALGORITHM);
  const { source, streams } = await readLayers(image, options, pool, repository);
  const parts = await findBootParts(source, addons.names);
  refuseKernelArguments(parts, options);
  const { erofs, format } = await composeImage(source, parts);
  const id = repository.addImage(erofs);
  await repository.addOciImage(image, streams, { hex: id, version: format.version });
  return {
    id,
    format,
    tree: source.tree,
    parts,
    addonFiles: addons.files,
    repository,
    time: diskTime(image, options),
    contentOf: (content) => {
      if (content.kind === "inline") return { size: content.bytes.length, content: content.bytes };
      const object = content.kind === "external" ? repository.objectOf(content) : undefined;
      if (object === undefined) throw new Error("a content that is in no layer");
      return { size: object.size, content: object.kind === "memory" ? object.bytes : object };
    },
  };
}

/** The tree of an image. What its layers say is an object or in a stream then, and need not be held any more. */
async function readLayers(
  image: Image,
  { cacheDirectory, progress, signal }: DeploymentOptions,
  pool: WorkerPool,
  repository: RepositoryBuilder,
): Promise<{ readonly source: ImageTree; readonly streams: readonly LayerStream[] }> {
  const streams: LayerStream[] = [];
  const source = await readImage(image, {
    algorithms: [ALGORITHM],
    cacheDirectory,
    pool,
    progress,
    signal,
    tap: ({ index }) => (streams[index] = new LayerStream(ALGORITHM)),
  });
  repository.addContents(source.layers);
  return { source: { ...source, layers: [] }, streams };
}

function refuseKernelArguments(
  parts: BootParts,
  { allowMissingVerity, kernelArguments = [] }: DeploymentOptions,
): void {
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

interface ComposedImage {
  readonly erofs: Uint8Array;
  readonly format: ComposefsFormat;
}

/** The EROFS image that the host mounts, in the format that the UKI names by its digest. Changes the tree. */
async function composeImage(source: ImageTree, parts: BootParts): Promise<ComposedImage> {
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

function diskTime({ config }: Image, { buildTime }: DeploymentOptions): number {
  const created = Date.parse(config.created ?? "");
  const time = buildTime?.getTime() ?? (Number.isNaN(created) ? 0 : created);
  return Math.max(0, Math.floor(time / 1000));
}

/** Where a host finds updates of an image that was asked for by this reference; undefined when nowhere. */
export function updateReference(reference: string, { targetReference }: DeploymentOptions): string | undefined {
  if (targetReference !== undefined) return targetReference;
  if (parseReference(reference).transport !== "docker") return undefined;
  return `ostree-unverified-image:docker://${reference.replace(/^docker:\/\//, "")}`;
}
