import { type ByteString, byteString } from "../../lib/bytes/byte-string.ts";
import { FormatError } from "../../lib/errors.ts";
import { type Labelling, labelTree, type ReadContent } from "./label.ts";
import type { Directory, Tree, TreeNode } from "./tree.ts";
import { nodesOf } from "./walk.ts";

/** The only extended attribute of an image that its digest keeps. */
const CAPABILITY = byteString("security.capability");

export interface OciTreeOptions {
  /** Also keep extended attributes that start with `user.`. bootc never does. */
  readonly keepUserXattrs?: boolean;
  /** Keep every extended attribute, as composefs-rs did with layers until June 2026. */
  readonly keepAllXattrs?: boolean;
}

/**
 * Makes the merged tree of an image the canonical one: root as `/usr`, an empty `/run`, few extended attributes.
 *
 * Changes `tree` itself; `Metadata` objects are replaced and never changed, so layer records stay as they are.
 *
 * @returns `tree`
 * @throws {FormatError} `tree.usr-missing`, `tree.usr-not-directory`, `tree.run-not-directory`
 * @see composefs specification, section 3.5
 */
export function toOciTree(tree: Tree, options: OciTreeOptions = {}): Tree {
  const { keepAllXattrs = false, keepUserXattrs = false } = options;
  const usr = requireDirectory(tree, "usr");
  tree.root.meta = { ...usr.meta };

  if (tree.root.entries.has("run" as ByteString)) {
    const run = requireDirectory(tree, "run");
    run.entries.clear();
    run.meta = { ...run.meta, mtimeSec: usr.meta.mtimeSec, mtimeNsec: usr.meta.mtimeNsec };
  }

  if (keepAllXattrs) return tree;
  const keeps = (name: ByteString) => name === CAPABILITY || (keepUserXattrs && name.startsWith("user."));
  for (const node of nodesOf(tree.root)) filterXattrs(node, keeps);
  return tree;
}

/** Filtering twice is filtering once, so a leaf with several names needs no book-keeping. */
function filterXattrs(node: TreeNode, keeps: (name: ByteString) => boolean): void {
  const { xattrs } = node.meta;
  if (xattrs.size === 0) return;
  const kept = new Map([...xattrs].filter(([name]) => keeps(name)));
  if (kept.size < xattrs.size) node.meta = { ...node.meta, xattrs: kept };
}

/**
 * Makes a canonical tree the one that a host boots: empty `/boot` and `/sysroot`, labels of the tree's own policy.
 *
 * Changes `tree` itself, which went through {@link toOciTree}. Boot files are gone afterwards: look for kernels before.
 *
 * @param read reads the policy's files where they are not stored in the tree
 * @throws {FormatError} `tree.boot-missing`, `tree.boot-not-directory`, `tree.sysroot-missing`,
 *   `tree.sysroot-not-directory`, `tree.usr-missing`, and whatever {@link labelTree} throws
 * @see composefs specification, section 5.1
 */
export async function toBootTree(tree: Tree, read: ReadContent): Promise<Labelling> {
  emptyBootDirectories(tree);
  return await labelTree(tree, read);
}

/** The boot transform without the labels. */
export function emptyBootDirectories(tree: Tree): void {
  const usr = requireDirectory(tree, "usr");
  for (const name of ["boot", "sysroot"] as const) {
    const directory = requireDirectory(tree, name);
    directory.entries.clear();
    // Only the seconds: the nanoseconds stay, and in format V1 they are part of the digest.
    directory.meta = { ...directory.meta, mtimeSec: usr.meta.mtimeSec };
  }
}

const WHY = {
  usr: "the root takes its owner, mode and time from /usr",
  run: "a host mounts its own /run",
  boot: "a host mounts its own /boot; add an empty directory /boot to the image",
  sysroot: "a host mounts its own /sysroot; add an empty directory /sysroot to the image",
} as const;

function requireDirectory(tree: Tree, name: keyof typeof WHY): Directory {
  const node = tree.root.entries.get(name as ByteString);
  if (node?.kind === "directory") return node;
  const [code, found] = node === undefined ? ["missing", "nothing"] : ["not-directory", `a ${node.kind}`];
  throw new FormatError(
    `tree.${name}-${code}`,
    { what: `/${name}`, expected: "a directory", found },
    { data: { path: name }, hint: WHY[name] },
  );
}
