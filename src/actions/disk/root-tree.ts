/** The tree of the root file system, as bootc leaves it after an installation. */
import type { Ext4Directory, Ext4File, Ext4Leaf, Ext4Metadata, Ext4Node } from "../../formats/ext4/index.ts";
import { type ByteString, byteString } from "../../lib/bytes/byte-string.ts";
import { PolicyError } from "../../lib/errors.ts";
import { objectPath } from "../../model/composefs/overlay.ts";
import type { DiskContent } from "../../model/disk/content.ts";
import { ROOT } from "../../model/disk/layout.ts";
import {
  DIRECTORY_MODE,
  IMAGES,
  META_FILE,
  type MemoryObject,
  OBJECT_MODE,
  OBJECTS,
  OCI_REFS,
  objectLink,
  REFS,
  REPOSITORY_MODE,
  type Repository,
  type RepositoryObject,
  STREAMS,
  tagFileName,
  tagLink,
} from "../../model/repository/index.ts";
import { SELINUX_XATTR } from "../../model/tree/label.ts";
import type { Content, Directory, Leaf, Tree } from "../../model/tree/tree.ts";
import { directoriesOf } from "../../model/tree/walk.ts";
import { splitPath } from "./esp.ts";

export interface RootInput {
  /** The boot tree, labelled if it has a policy. */
  readonly tree: Tree;
  readonly repository: Repository;
  readonly meta: MemoryObject;
  readonly contentOf: (content: Content) => { readonly size: number; readonly content: DiskContent };
  readonly id: string;
  readonly origin: string;
  /** Files of the host's own /etc by path, in place of the image's. */
  readonly etcFiles: ReadonlyMap<string, string>;
  /** Of everything that is not from the image, in seconds since 1970. */
  readonly time: number;
}

type Entries = Map<ByteString, Ext4Node<DiskContent>>;

/** @throws {PolicyError} `disk.etc-not-directory` */
export function buildRootTree(input: RootInput): Ext4Directory<DiskContent> {
  const { id, origin, repository, tree } = input;
  const root = new TreeBuilder(labelled(tree, "", input.time), labelled(tree, "usr", input.time));
  addRepository(root, repository, input.meta);
  root.directory(ROOT.bootc);
  root.symlink(ROOT.bootcLink.path, ROOT.bootcLink.target);
  root.directory(ROOT.efi, 0o755, labelled(tree, "boot", input.time));

  const etc = cloneDirectory(requireDirectory(tree, "etc"), input);
  etc.entries.delete(byteString(".updated"));
  root.put(ROOT.etc(id), etc);
  const { path, target } = ROOT.varLink(id);
  root.symlink(path, target);
  root.file(ROOT.origin(id), Buffer.from(origin));
  const imageVar = tree.root.entries.get(byteString("var"));
  if (imageVar?.kind === "directory") root.put(ROOT.var, cloneDirectory(imageVar, input));
  else root.directory(ROOT.var);

  for (const [name, text] of input.etcFiles) {
    root.within(splitPath(`${ROOT.etc(id)}/${name}`)[0], etc.meta);
    root.file(`${ROOT.etc(id)}/${name}`, Buffer.from(text), 0o644, etc.meta);
  }
  return root.root;
}

function addRepository(root: TreeBuilder, { images, objects, streams, tags }: Repository, meta: MemoryObject): void {
  root.directory(at(), REPOSITORY_MODE);
  for (const name of [OBJECTS, IMAGES, STREAMS]) root.directory(at(name));
  root.object(at(META_FILE), meta);
  for (const [hex, object] of objects) root.object(at(OBJECTS, objectPath(hex)), object);
  for (const hex of images) root.symlink(at(IMAGES, hex), objectLink(hex));
  for (const [contentId, hex] of streams) root.symlink(at(STREAMS, contentId), objectLink(hex));
  for (const [tag, contentId] of tags) root.symlink(at(STREAMS, REFS, OCI_REFS, tagFileName(tag)), tagLink(contentId));
}

const at = (...parts: readonly string[]): string => [ROOT.repository, ...parts].join("/");

/** Owner, time and SELinux label for what the disk adds: those of a directory of the image. */
function labelled({ root }: Tree, name: "" | "usr" | "boot", time: number): Ext4Metadata {
  const node = name === "" ? root : root.entries.get(byteString(name));
  const label = node?.meta.xattrs.get(SELINUX_XATTR);
  const xattrs = new Map(label === undefined ? [] : [[SELINUX_XATTR, label]]);
  return { mode: DIRECTORY_MODE, uid: 0, gid: 0, mtimeSec: BigInt(time), mtimeNsec: 0, xattrs };
}

function requireDirectory({ root }: Tree, name: string): Directory {
  const node = root.entries.get(byteString(name));
  if (node?.kind === "directory") return node;
  throw new PolicyError("image.directory-missing", `/${name}: found no directory, expected the first state of a host`);
}

/** A directory with everything below it, owners, modes, times and attributes as they are; links stay links. */
function cloneDirectory(
  directory: Directory,
  { contentOf }: Pick<RootInput, "contentOf">,
): Ext4Directory<DiskContent> & { readonly entries: Entries } {
  const leaves = new Map<Leaf, Ext4Leaf<DiskContent>>();
  const cloneLeaf = (leaf: Leaf): Ext4Leaf<DiskContent> => {
    const known = leaves.get(leaf);
    if (known !== undefined) return known;
    const clone: Ext4Leaf<DiskContent> =
      leaf.kind === "file" ? { kind: "file", meta: leaf.meta, ...contentOf(leaf.content) } : leaf;
    leaves.set(leaf, clone);
    return clone;
  };
  const clones = new Map<Directory, Entries>([[directory, new Map()]]);
  for (const parent of directoriesOf(directory)) {
    for (const [name, node] of parent.entries) {
      const entries: Entries = new Map();
      if (node.kind === "directory") clones.set(node, entries);
      const clone = node.kind === "directory" ? { ...node, entries } : cloneLeaf(node);
      clones.get(parent)?.set(name, clone);
    }
  }
  return { kind: "directory", meta: directory.meta, entries: clones.get(directory) as Entries };
}

/** A tree that grows by paths. */
class TreeBuilder {
  readonly root: Ext4Directory<DiskContent> & { readonly entries: Entries };
  readonly #meta: Ext4Metadata;
  readonly #directories = new Map<string, Entries>();

  /** @param meta of everything that is not given its own */
  constructor(rootMeta: Ext4Metadata, meta: Ext4Metadata) {
    this.root = { kind: "directory", meta: rootMeta, entries: new Map() };
    this.#meta = meta;
    this.#directories.set("", this.root.entries);
  }

  /** Makes a directory, and those above it. */
  directory(path: string, mode: number = DIRECTORY_MODE, meta: Ext4Metadata = this.#meta): void {
    this.put(path, { kind: "directory", meta: { ...meta, mode }, entries: new Map() });
  }

  symlink(path: string, target: string): void {
    this.put(path, { kind: "symlink", meta: { ...this.#meta, mode: 0o777 }, target: byteString(target) });
  }

  file(path: string, content: Uint8Array, mode = 0o644, meta: Ext4Metadata = this.#meta): void {
    this.put(path, { kind: "file", meta: { ...meta, mode }, size: content.length, content });
  }

  object(path: string, object: RepositoryObject): void {
    this.put(path, verityFile(object, { ...this.#meta, mode: OBJECT_MODE }));
  }

  put(path: string, node: Ext4Node<DiskContent>): void {
    const [parent, name] = splitPath(path);
    this.within(parent, this.#meta).set(byteString(name), node);
    if (node.kind === "directory") this.#directories.set(path, node.entries as Entries);
  }

  /** What is in a directory, which is made when it is not there. */
  within(path: string, meta: Ext4Metadata): Entries {
    const known = this.#directories.get(path);
    if (known !== undefined) return known;
    const [parent, name] = splitPath(path);
    const siblings = this.within(parent, meta);
    const there = siblings.get(byteString(name));
    if (there !== undefined && there.kind !== "directory") {
      throw new PolicyError("disk.etc-not-directory", `${path}: found a ${there.kind}, expected a directory`);
    }
    const entries: Entries = there === undefined ? new Map() : (there.entries as Entries);
    if (there === undefined) {
      siblings.set(byteString(name), { kind: "directory", meta: { ...meta, mode: DIRECTORY_MODE }, entries });
    }
    this.#directories.set(path, entries);
    return entries;
  }
}

function verityFile(object: RepositoryObject, meta: Ext4Metadata): Ext4File<DiskContent> {
  const { descriptor, size, treeSize } = object;
  const [content, tree]: [DiskContent, DiskContent] =
    object.kind === "memory" ? [object.bytes, object.tree] : [object, { treeOf: object }];
  return { kind: "file", meta, size, content, verity: { tree, treeSize, descriptor } };
}
