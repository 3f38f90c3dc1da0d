/** The tree of the root file system, as bootc leaves it after an installation. */
import type { Ext4Leaf, Ext4Metadata } from "../../formats/ext4/index.ts";
import { byteString } from "../../lib/bytes/byte-string.ts";
import { PolicyError } from "../../lib/errors.ts";
import type { DiskContent } from "../../model/disk/content.ts";
import { ROOT } from "../../model/disk/layout.ts";
import {
  DIRECTORY_MODE,
  encodeMeta,
  IMAGES,
  META_FILE,
  memoryObject,
  OBJECTS,
  OCI_REFS,
  objectLink,
  REFS,
  REPOSITORY_MODE,
  type Repository,
  STREAMS,
  tagFileName,
  tagLink,
} from "../../model/repository/index.ts";
import { SELINUX_XATTR } from "../../model/tree/label.ts";
import type { Directory, Leaf, Tree } from "../../model/tree/tree.ts";
import { directoriesOf } from "../../model/tree/walk.ts";
import { splitPath } from "./esp.ts";
import { ALGORITHM, type Deployment } from "./load-deployment.ts";
import { type RootDirectory, type RootNode, TreeBuilder } from "./tree-builder.ts";

export interface RootInput {
  readonly deployment: Deployment;
  readonly origin: string;
  /** Files of the host's own /etc by path, in place of the image's. */
  readonly etcFiles: ReadonlyMap<string, string>;
  /** Of everything that is not from the image, in seconds since 1970. */
  readonly time: number;
}

/** @throws {PolicyError} `disk.etc-not-directory`, `image.directory-missing` */
export function buildRootTree({ deployment, etcFiles, origin, time }: RootInput): RootDirectory {
  const { contentOf, format, id, repository, tree } = deployment;
  const root = new TreeBuilder(
    { kind: "directory", meta: labelled(tree, "", time), entries: new Map() },
    labelled(tree, "usr", time),
  );
  root.directory(ROOT.repository, REPOSITORY_MODE);
  for (const name of [OBJECTS, IMAGES, STREAMS]) root.directory(at(name));
  root.object(at(META_FILE), memoryObject(encodeMeta(ALGORITHM, format.version), ALGORITHM));
  addRepository(root, repository);
  root.directory(ROOT.bootc);
  root.symlink(ROOT.bootcLink.path, ROOT.bootcLink.target);
  root.directory(ROOT.efi, 0o755, labelled(tree, "boot", time));

  const etc = freshEtc(deployment);
  addState(root, { id, origin, etc });
  const imageVar = tree.root.entries.get(byteString("var"));
  if (imageVar?.kind === "directory") root.put(ROOT.var, cloneDirectory(imageVar, contentOf));
  else root.directory(ROOT.var);

  for (const [name, text] of etcFiles) {
    const path = `${ROOT.etc(id)}/${name}`;
    root.within(splitPath(path)[0], etc.meta);
    root.file(path, Buffer.from(text), 0o644, etc.meta);
  }
  return root.root;
}

/** Adds what a repository holds; what is there already is replaced. */
export function addRepository(root: TreeBuilder, { images, objects, streams, tags }: Repository): void {
  root.objects(at(OBJECTS), objects.values());
  for (const hex of images) root.symlink(at(IMAGES, hex), objectLink(hex));
  for (const [contentId, hex] of streams) root.symlink(at(STREAMS, contentId), objectLink(hex));
  for (const [tag, contentId] of tags) root.symlink(at(STREAMS, REFS, OCI_REFS, tagFileName(tag)), tagLink(contentId));
}

/** A path in the repository. */
export const at = (...parts: readonly string[]): string => [ROOT.repository, ...parts].join("/");

interface State {
  readonly id: string;
  readonly origin: string;
  readonly etc: RootDirectory;
}

/** The state of a deployment, without /var, which is one for all. */
export function addState(root: TreeBuilder, { etc, id, origin }: State): void {
  root.put(ROOT.etc(id), etc);
  const { path, target } = ROOT.varLink(id);
  root.symlink(path, target);
  root.file(ROOT.origin(id), Buffer.from(origin));
}

/**
 * The /etc that a host starts with.
 *
 * @throws {PolicyError} `image.directory-missing`
 */
export function freshEtc({ contentOf, tree }: Pick<Deployment, "contentOf" | "tree">): RootDirectory {
  const node = tree.root.entries.get(byteString("etc"));
  if (node?.kind !== "directory") {
    throw new PolicyError("image.directory-missing", "/etc: found no directory, expected the first state of a host");
  }
  const etc = cloneDirectory(node, contentOf);
  etc.entries.delete(byteString(".updated"));
  return etc;
}

/** Owner, time and SELinux label for what the disk adds: those of a directory of the image. */
export function labelled({ root }: Tree, name: "" | "usr" | "boot", time: number): Ext4Metadata {
  const node = name === "" ? root : root.entries.get(byteString(name));
  const label = node?.meta.xattrs.get(SELINUX_XATTR);
  const xattrs = new Map(label === undefined ? [] : [[SELINUX_XATTR, label]]);
  return { mode: DIRECTORY_MODE, uid: 0, gid: 0, mtimeSec: BigInt(time), mtimeNsec: 0, xattrs };
}

/** A directory with everything below it, owners, modes, times and attributes as they are; links stay links. */
function cloneDirectory(directory: Directory, contentOf: Deployment["contentOf"]): RootDirectory {
  const leaves = new Map<Leaf, Ext4Leaf<DiskContent>>();
  const cloneLeaf = (leaf: Leaf): Ext4Leaf<DiskContent> => {
    const known = leaves.get(leaf);
    if (known !== undefined) return known;
    const clone: Ext4Leaf<DiskContent> =
      leaf.kind === "file" ? { kind: "file", meta: leaf.meta, ...contentOf(leaf.content) } : leaf;
    leaves.set(leaf, clone);
    return clone;
  };
  const clones = new Map<Directory, RootDirectory["entries"]>([[directory, new Map()]]);
  for (const parent of directoriesOf(directory)) {
    for (const [name, node] of parent.entries) {
      const entries: RootDirectory["entries"] = new Map();
      if (node.kind === "directory") clones.set(node, entries);
      const clone: RootNode = node.kind === "directory" ? { ...node, entries } : cloneLeaf(node);
      clones.get(parent)?.set(name, clone);
    }
  }
  return { kind: "directory", meta: directory.meta, entries: clones.get(directory) as RootDirectory["entries"] };
}
