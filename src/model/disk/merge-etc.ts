/**
 * /etc of a host under a new image: what the host changed goes on top of what the image brings.
 *
 *     pristine   /etc of the image that the host runs
 *     current    its own /etc
 *     next       /etc of the new image, which becomes the merged one
 *
 * A file, link or directory counts as changed by owner, mode, attributes, contents or target; its time does not count.
 * What the host has added or changed replaces what is there, what it has removed goes, and everything else is the new
 * image's. Devices, sockets and FIFOs stay behind.
 *
 * @see bootc specification, section 5.4
 */
import type {
  Ext4Directory,
  Ext4Leaf,
  Ext4Metadata,
  Ext4Node,
  MutableExt4Directory,
} from "../../formats/ext4/index.ts";
import { type ByteString, compareByteStrings, showByteString } from "../../lib/bytes/byte-string.ts";
import type { Content, Directory, TreeNode } from "../tree/tree.ts";

export interface EtcMergeInput<C> {
  readonly pristine: Directory;
  readonly current: Ext4Directory<C>;
  /** Is changed. */
  readonly next: MutableExt4Directory<C>;
  /** Compares contents whose sizes are equal. */
  readonly hasContent: (file: C, size: number, content: Content) => boolean;
}

/** Paths below /etc, in order. */
export interface EtcMerge<C> {
  readonly etc: MutableExt4Directory<C>;
  /** Added or changed by the host. */
  readonly carried: readonly string[];
  readonly removed: readonly string[];
  /** A directory on one side, something else on the other. With any of them, `etc` is of no use. */
  readonly conflicts: readonly string[];
}

export function mergeEtc<C>(input: EtcMergeInput<C>): EtcMerge<C> {
  const merger = new EtcMerger(input);
  const { current, next, pristine } = input;
  const etc = merger.sameMetadata(pristine.meta, current.meta) ? next : { ...next, meta: current.meta };
  merger.merge(pristine, current, new Target(etc), "");
  const { carried, conflicts, removed } = merger;
  return { etc, carried: carried.sort(), removed: removed.sort(), conflicts: conflicts.sort() };
}

/** Where a directory of the merged tree goes once there is something in it. */
interface Place<C> {
  readonly parent: Target<C>;
  readonly name: ByteString;
  readonly meta: Ext4Metadata;
}

/** A directory of the merged tree, or the place of one that is not there yet. */
class Target<C> {
  readonly #place: Place<C> | undefined;
  #directory: MutableExt4Directory<C> | undefined;

  constructor(directory: MutableExt4Directory<C> | undefined, place?: Place<C>) {
    this.#directory = directory;
    this.#place = place;
  }

  get(name: ByteString): Ext4Node<C> | undefined {
    return this.#directory?.entries.get(name);
  }

  make(): Map<ByteString, Ext4Node<C>> {
    this.#directory ??= this.#put(new Map());
    return this.#directory.entries;
  }

  /** Gives it the metadata of its place. */
  setMetadata(): void {
    this.#directory = this.#put(this.make());
  }

  #put(entries: MutableExt4Directory<C>["entries"]): MutableExt4Directory<C> {
    const { meta, name, parent } = this.#place as Place<C>;
    const directory: MutableExt4Directory<C> = { kind: "directory", meta, entries };
    parent.make().set(name, directory);
    return directory;
  }
}

class EtcMerger<C> {
  readonly #hasContent: EtcMergeInput<C>["hasContent"];
  readonly carried: string[] = [];
  readonly removed: string[] = [];
  readonly conflicts: string[] = [];
  /** Files of the host's /etc and their copies: links among them stay links, but not with the old /etc. */
  readonly #copies = new Map<Ext4Leaf<C>, Ext4Leaf<C>>();

  constructor({ hasContent }: EtcMergeInput<C>) {
    this.#hasContent = hasContent;
  }

  merge(pristine: Directory | undefined, current: Ext4Directory<C>, target: Target<C>, path: string): void {
    for (const [name, node] of sorted(current)) {
      const before = pristine?.entries.get(name);
      const below = `${path}${showByteString(name)}`;
      if (node.kind === "directory") this.#mergeDirectory(before, node, target, name, below);
      else this.#mergeLeaf(before, node, target, name, below);
    }
    for (const [name, { kind }] of pristine?.entries ?? []) {
      if (current.entries.has(name) || !isMerged(kind) || target.get(name) === undefined) continue;
      target.make().delete(name);
      this.removed.push(`${path}${showByteString(name)}`);
    }
  }

  #mergeDirectory(
    before: TreeNode | undefined,
    node: Ext4Directory<C>,
    target: Target<C>,
    name: ByteString,
    path: string,
  ): void {
    const there = target.get(name);
    const pristine = before?.kind === "directory" ? before : undefined;
    if (there !== undefined && there.kind !== "directory") {
      if (this.#isChanged(before, node)) this.conflicts.push(path);
      return;
    }
    const place = { parent: target, name, meta: node.meta };
    const child = new Target(there as MutableExt4Directory<C> | undefined, place);
    if (pristine === undefined || !this.sameMetadata(pristine.meta, node.meta)) {
      child.setMetadata();
      this.carried.push(`${path}/`);
    }
    this.merge(pristine, node, child, `${path}/`);
  }

  #mergeLeaf(before: TreeNode | undefined, node: Ext4Leaf<C>, target: Target<C>, name: ByteString, path: string): void {
    if (!isMerged(node.kind) || !this.#isChanged(before, node)) return;
    if (target.get(name)?.kind === "directory") {
      this.conflicts.push(path);
      return;
    }
    const copy = this.#copies.get(node) ?? { ...node };
    this.#copies.set(node, copy);
    target.make().set(name, copy);
    this.carried.push(path);
  }

  /** Whether the host changed an entry, or anything below it. */
  #isChanged(before: TreeNode | undefined, node: Ext4Node<C>): boolean {
    if (before?.kind !== node.kind || !this.sameMetadata(before.meta, node.meta)) return true;
    if (node.kind === "directory" && before.kind === "directory") {
      const gone = [...before.entries].some(([name, { kind }]) => isMerged(kind) && !node.entries.has(name));
      return gone || [...node.entries].some(([name, child]) => this.#isChanged(before.entries.get(name), child));
    }
    if (node.kind === "symlink" && before.kind === "symlink") return node.target !== before.target;
    if (node.kind === "file" && before.kind === "file") {
      return sizeOf(before.content) !== node.size || !this.#hasContent(node.content, node.size, before.content);
    }
    return false;
  }

  sameMetadata(a: Ext4Metadata, b: Ext4Metadata): boolean {
    const sameOwner = a.mode === b.mode && a.uid === b.uid && a.gid === b.gid;
    return (
      sameOwner &&
      a.xattrs.size === b.xattrs.size &&
      [...a.xattrs].every(([name, value]) => b.xattrs.get(name) === value)
    );
  }
}

const isMerged = (kind: Ext4Node<unknown>["kind"]): boolean =>
  kind === "file" || kind === "symlink" || kind === "directory";

const sizeOf = (content: Content): number => (content.kind === "inline" ? content.bytes.length : Number(content.size));

const sorted = <C>({ entries }: Ext4Directory<C>): [ByteString, Ext4Node<C>][] =>
  [...entries].sort(([a], [b]) => compareByteStrings(a, b));
