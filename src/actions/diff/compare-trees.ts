/** What is different between two trees, entry by entry. */
import { type ByteString, showByteString } from "../../lib/bytes/byte-string.ts";
import type { Content, Directory, Leaf, Tree, TreeNode } from "../../model/tree/tree.ts";
import { sizeOf } from "./content.ts";
import { type LeafNames, namesOfLeaves } from "./leaf-names.ts";

/** What of an entry can differ. */
export const ASPECTS = ["type", "content", "target", "device", "mode", "owner", "xattrs", "links", "mtime"] as const;
export type Aspect = (typeof ASPECTS)[number];

export interface NodeChange {
  /** Absolute, for people: bytes that are no UTF-8 are escaped. */
  readonly path: string;
  /** Absent when the entry was added. */
  readonly before?: TreeNode;
  /** Absent when the entry was removed. */
  readonly after?: TreeNode;
  /** What differs where both are there. */
  readonly aspects: readonly Aspect[];
}

/** Bytes of the regular files in and below a directory; a file with several names counts at its first. */
export interface DirectorySize {
  readonly path: string;
  readonly before: number;
  readonly after: number;
}

export interface TreeComparison {
  /** In the order of a walk: a directory before what is in it, names by their bytes. Changes of times are among them. */
  readonly changes: readonly NodeChange[];
  /** Directories with another size, in the same order; the root is always there and first. */
  readonly sizes: readonly DirectorySize[];
  /** Names of the leaves of each tree that have several. */
  readonly namesBefore: LeafNames;
  readonly namesAfter: LeafNames;
}

/**
 * Compares two trees, neither of which went through a transform.
 *
 * @param isSame whether two contents are the same
 */
export function compareTrees(a: Tree, b: Tree, isSame: (a: Content, b: Content) => boolean): TreeComparison {
  const comparison = new Comparison(a, b, isSame);
  comparison.directories("", a.root, b.root);
  const { changes, namesAfter, namesBefore, sizes } = comparison;
  return { changes, sizes, namesBefore, namesAfter };
}

interface Size {
  before: number;
  after: number;
}

class Comparison {
  readonly changes: NodeChange[] = [];
  readonly sizes: DirectorySize[] = [];
  readonly #isSame: (a: Content, b: Content) => boolean;
  readonly namesBefore: LeafNames;
  readonly namesAfter: LeafNames;
  readonly #counted = new Set<TreeNode>();

  constructor(a: Tree, b: Tree, isSame: (a: Content, b: Content) => boolean) {
    this.#isSame = isSame;
    this.namesBefore = namesOfLeaves(a);
    this.namesAfter = namesOfLeaves(b);
  }

  /** @param path of the directories, without a slash at its end */
  directories(path: string, a: Directory | undefined, b: Directory | undefined): Size {
    this.#entry(path || "/", a, b);
    const place = this.sizes.length;
    const size: Size = { before: 0, after: 0 };
    for (const name of namesIn(a, b)) {
      const below = this.#name(`${path}/${showByteString(name)}`, a?.entries.get(name), b?.entries.get(name));
      size.before += below.before;
      size.after += below.after;
    }
    if (size.before !== size.after || path === "") this.sizes.splice(place, 0, { path: path || "/", ...size });
    return size;
  }

  #name(path: string, a: TreeNode | undefined, b: TreeNode | undefined): Size {
    const [before, after] = [directoryOr(a), directoryOr(b)];
    if (before === undefined && after === undefined) {
      this.#entry(path, a, b);
      return { before: this.#size(a, this.namesBefore), after: this.#size(b, this.namesAfter) };
    }
    if ((a === undefined || before !== undefined) && (b === undefined || after !== undefined)) {
      return this.directories(path, before, after);
    }
    // A directory became something else, or the other way round: what was in it is gone, or new.
    this.changes.push({ path, before: a as TreeNode, after: b as TreeNode, aspects: ["type"] });
    const mark = this.changes.length;
    const size = this.directories(path, before, after);
    this.changes.splice(mark, 1);
    return {
      before: size.before + this.#size(before === undefined ? a : undefined, this.namesBefore),
      after: size.after + this.#size(after === undefined ? b : undefined, this.namesAfter),
    };
  }

  #entry(path: string, before: TreeNode | undefined, after: TreeNode | undefined): void {
    if (before === undefined) {
      if (after !== undefined) this.changes.push({ path, after, aspects: [] });
    } else if (after === undefined) {
      this.changes.push({ path, before, aspects: [] });
    } else {
      const aspects = this.#aspects(before, after);
      if (aspects.length > 0) this.changes.push({ path, before, after, aspects });
    }
  }

  #aspects(a: TreeNode, b: TreeNode): Aspect[] {
    if (a.kind !== b.kind) return ["type"];
    const aspects: Aspect[] = [];
    if (a.kind === "file" && b.kind === "file" && !this.#isSame(a.content, b.content)) aspects.push("content");
    if (a.kind === "symlink" && b.kind === "symlink" && a.target !== b.target) aspects.push("target");
    if ("rdev" in a && "rdev" in b && a.rdev !== b.rdev) aspects.push("device");
    const [left, right] = [a.meta, b.meta];
    if (left.mode !== right.mode) aspects.push("mode");
    if (left.uid !== right.uid || left.gid !== right.gid) aspects.push("owner");
    if (!isSameMap(left.xattrs, right.xattrs)) aspects.push("xattrs");
    if (a.kind !== "directory" && b.kind !== "directory" && !this.#hasSameNames(a, b)) aspects.push("links");
    if (left.mtimeSec !== right.mtimeSec || left.mtimeNsec !== right.mtimeNsec) aspects.push("mtime");
    return aspects;
  }

  #hasSameNames(a: Leaf, b: Leaf): boolean {
    const [left, right] = [this.namesBefore.get(a), this.namesAfter.get(b)];
    if (left === undefined || right === undefined) return left === right;
    return left.length === right.length && left.every((name, index) => name === right[index]);
  }

  #size(node: TreeNode | undefined, names: LeafNames): number {
    if (node?.kind !== "file") return 0;
    if (names.has(node)) {
      if (this.#counted.has(node)) return 0;
      this.#counted.add(node);
    }
    return sizeOf(node.content);
  }
}

const directoryOr = (node: TreeNode | undefined): Directory | undefined =>
  node?.kind === "directory" ? node : undefined;

function namesIn(a: Directory | undefined, b: Directory | undefined): ByteString[] {
  const names = [...(a?.entries.keys() ?? [])];
  for (const name of b?.entries.keys() ?? []) if (a?.entries.has(name) !== true) names.push(name);
  return names.sort();
}

function isSameMap(a: ReadonlyMap<ByteString, ByteString>, b: ReadonlyMap<ByteString, ByteString>): boolean {
  if (a.size !== b.size) return false;
  for (const [name, value] of a) if (b.get(name) !== value) return false;
  return true;
}
