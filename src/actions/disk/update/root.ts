/** The root file system of an updated disk. */
import { computeFsverityDigest } from "../../../formats/fsverity/index.ts";
import { equalBytes, toHex } from "../../../lib/bytes/numbers.ts";
import { PolicyError, VerificationError } from "../../../lib/errors.ts";
import { treeFromErofs } from "../../../model/composefs/index.ts";
import { objectPath } from "../../../model/composefs/overlay.ts";
import type { DiskContent } from "../../../model/disk/content.ts";
import { ROOT } from "../../../model/disk/layout.ts";
import { type EtcMerge, mergeEtc } from "../../../model/disk/merge-etc.ts";
import type { OsProblem } from "../../../model/os/index.ts";
import { OBJECTS } from "../../../model/repository/index.ts";
import { type Content, lookup, type Tree } from "../../../model/tree/tree.ts";
import { ALGORITHM, type Deployment } from "../load-deployment.ts";
import { addRepository, addState, at, freshEtc } from "../root-tree.ts";
import type { RootDirectory, TreeBuilder } from "../tree-builder.ts";
import { collectGarbage, type Garbage, hasManifest, type KeptDeployment } from "./collect-garbage.ts";
import { isSoundObject, readStored, readTreeFile, type StoredDisk } from "./stored-disk.ts";

export interface RootUpdate {
  readonly tree: RootDirectory;
  readonly etc: Pick<EtcMerge<DiskContent>, "carried" | "removed">;
  /** Objects that the new deployment brings, that it finds, and that nobody needs any more. */
  readonly objects: { readonly added: Garbage; readonly shared: Garbage; readonly removed: Garbage };
  readonly warnings: readonly OsProblem[];
}

export interface RootUpdateInput {
  readonly stored: StoredDisk;
  /** Of the disk. Is changed. */
  readonly tree: TreeBuilder;
  readonly deployment: Deployment;
  /** What the host runs so far, as its image has it. */
  readonly currentTree: Tree;
  /** The deployment that stays beside it. */
  readonly keptId: string | undefined;
  readonly origin: string;
}

/**
 * Adds a deployment to the tree of a root file system and takes away what is beyond two of them. /var stays as it is.
 *
 * @throws {PolicyError} `disk.update.etc-conflict`, `disk.update.etc-missing`
 * @throws what `collectGarbage` throws
 */
export function updateRoot({ currentTree, deployment, keptId, origin, stored, tree }: RootUpdateInput): RootUpdate {
  const { id, repository } = deployment;
  const { carried, etc, removed: gone } = mergeState(stored, deployment, currentTree, tree);

  const needed = new Set(repository.objects.keys());
  const kept = stored.deployments.filter((one) => one.id === keptId);
  const known = kept.flatMap(({ id: of, origin: from }): KeptDeployment[] => {
    const manifestDigest = from?.manifestDigest;
    return manifestDigest !== undefined && hasManifest(tree, manifestDigest) ? [{ id: of, manifestDigest }] : [];
  });
  const isKnown = known.length === kept.length;
  const removed = isKnown ? collectGarbage(tree, known, needed) : { count: 0, size: 0 };

  const objects = [...repository.objects];
  const missing = objects.filter(
    ([hex, object]) => !isSoundObject(stored, tree.find(at(OBJECTS, objectPath(hex))), object),
  );
  const { images, streams, tags } = repository;
  addRepository(tree, { images, streams, tags, objects: new Map(missing) });
  tree.remove(ROOT.deployment(id));
  addState(tree, { id, origin, etc });
  tree.directory(ROOT.var);
  const added = total(missing);
  const all = total(objects);
  return {
    tree: tree.root,
    etc: { carried, removed: gone },
    objects: { added, shared: { count: all.count - added.count, size: all.size - added.size }, removed },
    warnings: isKnown ? [] : [NOT_COLLECTED],
  };
}

const total = (objects: readonly (readonly [string, { readonly size: number }])[]): Garbage => ({
  count: objects.length,
  size: objects.reduce((sum, [, { size }]) => sum + size, 0),
});

const NOT_COLLECTED: OsProblem = {
  code: "disk.update.not-collected",
  message: "the disk does not tell what the deployment before needs, so nothing was removed",
};

/**
 * The tree that the current deployment boots, from its EROFS image.
 *
 * @throws {VerificationError} `disk.image.missing`, `disk.image.digest-mismatch`
 */
export function readCurrentTree(stored: StoredDisk, tree: TreeBuilder): Tree {
  const { id } = stored.current.deployment;
  const path = at(OBJECTS, objectPath(id));
  if (tree.find(path)?.kind !== "file") {
    const message = `images/${id}: found nothing, expected the EROFS image of the current deployment`;
    throw new VerificationError("disk.image.missing", message, { data: { image: id } });
  }
  const erofs = readTreeFile(tree, path);
  const found = toHex(computeFsverityDigest(erofs, ALGORITHM));
  if (found === id) return treeFromErofs(erofs);
  throw new VerificationError("disk.image.digest-mismatch", `images/${id}: found an image with digest ${found}`, {
    data: { image: id, found },
    hint: "sealwright verify tells what else is wrong with the disk",
  });
}

function mergeState(
  { current }: StoredDisk,
  deployment: Deployment,
  currentTree: Tree,
  tree: TreeBuilder,
): EtcMerge<DiskContent> {
  const pristine = lookup(currentTree, "etc");
  const own = tree.find(ROOT.etc(current.deployment.id));
  if (pristine?.kind !== "directory" || own?.kind !== "directory") {
    throw new PolicyError("disk.update.etc-missing", "/etc: found none to carry over, expected that of the host");
  }
  const merge = mergeEtc({ pristine, current: own, next: freshEtc(deployment), hasContent });
  if (merge.conflicts.length === 0) return merge;
  const paths = merge.conflicts.map((path) => `/etc/${path}`);
  throw new PolicyError(
    "disk.update.etc-conflict",
    `${paths.join(", ")}: a directory on one side and none on the other, of what the host changed and the new image`,
    { data: { paths }, hint: "remove them on the host, or from the image" },
  );
}

function hasContent(file: DiskContent, size: number, content: Content): boolean {
  const bytes = readStored(file, size);
  if (content.kind === "inline") return equalBytes(bytes, content.bytes);
  const digest = content.kind === "external" ? content.digests[ALGORITHM] : undefined;
  return digest !== undefined && equalBytes(computeFsverityDigest(bytes, ALGORITHM), digest);
}
