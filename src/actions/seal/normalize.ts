/**
 * What a top layer can do about trees that tools see differently.
 *
 *     directories   declared once more, in whole seconds and without foreign xattrs
 *     links, devices, FIFOs   the same; symbolic links with mode 0777, the only one a file system has
 *     files         the same, which ships their bytes again: only up to a limit
 *
 * A parent that a layer leaves out is beyond its reach: composefs-rs refuses the layer before it sees the next one.
 * `declare-parents.ts` writes such layers anew.
 */
import type { ByteString } from "../../lib/bytes/byte-string.ts";
import type { TreeHistory } from "../../model/tree/history.ts";
import { type Leaf, type Metadata, sortedEntries, type Tree, type TreeNode } from "../../model/tree/tree.ts";

/** Something of the tree to be declared again as it should be. */
export interface Redeclared {
  /** Relative to the root. */
  readonly path: ByteString;
  readonly node: TreeNode;
  /** Another name of the same leaf, which has been declared again. */
  readonly linkTo?: ByteString;
}

/** One kind of change, or of what could not be changed. */
export interface Change {
  /** Stable cause code. */
  readonly code: string;
  /** One line for people. */
  readonly text: string;
  readonly count: number;
  /** Bytes that are shipped again, or would be. */
  readonly size?: number;
}

export interface Normalization {
  readonly redeclared: readonly Redeclared[];
  readonly changes: readonly Change[];
  /** What still differs between tools. */
  readonly left: readonly Change[];
}

/** Bytes of files that are shipped again without being asked for. */
export const RESHIP_LIMIT = 64 * 1024 * 1024;

/** The only extended attribute that every version of every tool keeps. */
const KEPT_XATTR = "security.capability";

/** Directories whose content is outside the digest. */
const EMPTIED: ReadonlySet<string> = new Set(["boot", "run", "sysroot"]);

const SYMLINK_MODE = 0o777;

const CAUSES = {
  "directory-left-out": "directories that layers with entries in them leave out",
  "directory-time": "directories with fractions of a second",
  "leaf-time": "links, devices and FIFOs with fractions of a second",
  "link-mode": "symbolic links whose mode no file system has",
  "file-time": "files with fractions of a second",
  "xattr-foreign": "extended attributes other than security.capability",
} as const;

type Cause = keyof typeof CAUSES;

/** Metadata as every tool sees it: in whole seconds, with the one attribute that all keep. */
export function settle(meta: Metadata): Metadata {
  const xattrs = new Map([...meta.xattrs].filter(([name]) => name === KEPT_XATTR));
  return { ...meta, mtimeNsec: 0, xattrs };
}

/**
 * @param without paths, relative to the root, that sealing replaces or removes
 * @param limit bytes of files to ship again at most; above, none are
 */
export function planNormalization(
  tree: Tree,
  history: TreeHistory,
  { without, limit }: { readonly without: ReadonlySet<string>; readonly limit: number },
): Normalization {
  const nodes = new Map<TreeNode, ByteString[]>();
  for (const { node, path } of nodesInDigest(tree)) {
    if (without.has(path)) continue;
    const names = nodes.get(node);
    if (names === undefined) nodes.set(node, [path]);
    else names.push(path);
  }
  const counts = new Map<Cause, number>();
  const redeclared: Redeclared[] = [];
  const files: Redeclared[] = [];
  let fileCount = 0;
  let size = 0;
  const fileCounts = new Map<Cause, number>();
  for (const [node, [first, ...others]] of nodes) {
    const causes = causesOf(node, history);
    if (causes.length === 0 || first === undefined) continue;
    const isFile = node.kind === "file";
    for (const cause of causes) increment(isFile ? fileCounts : counts, cause);
    const list = isFile ? files : redeclared;
    list.push({ path: first, node }, ...others.map((path) => ({ path, node, linkTo: first })));
    if (!isFile) continue;
    fileCount++;
    size += sizeOf(node);
  }
  const shipped = size <= limit;
  if (shipped) for (const [cause, count] of fileCounts) increment(counts, cause, count);
  return {
    redeclared: shipped ? [...redeclared, ...files] : redeclared,
    changes: [
      ...[...counts].map(([cause, count]) => ({ code: `normalize.${cause}`, text: CAUSES[cause], count })),
      ...(shipped && fileCount > 0
        ? [{ code: "normalize.file-reshipped", text: "files shipped again for it", count: fileCount, size }]
        : []),
    ],
    left: shipped
      ? []
      : [
          {
            code: "normalize.files-left",
            text: "files as they were: shipping them again would cost",
            count: fileCount,
            size,
          },
        ],
  };
}

function increment(counts: Map<Cause, number>, cause: Cause, by = 1): void {
  counts.set(cause, (counts.get(cause) ?? 0) + by);
}

function causesOf(node: TreeNode, history: TreeHistory): Cause[] {
  const { mode, mtimeNsec, xattrs } = node.meta;
  const causes: Cause[] = [];
  if (mtimeNsec !== 0) {
    causes.push(node.kind === "directory" ? "directory-time" : node.kind === "file" ? "file-time" : "leaf-time");
  }
  if (node.kind === "directory" && history.directory(node).undeclared.length > 0) causes.push("directory-left-out");
  if (node.kind === "symlink" && mode !== SYMLINK_MODE) causes.push("link-mode");
  if ([...xattrs.keys()].some((name) => name !== KEPT_XATTR)) causes.push("xattr-foreign");
  return causes;
}

const sizeOf = ({ content }: Leaf & { kind: "file" }): number =>
  content.kind === "inline" ? content.bytes.length : Number(content.size);

/** Every name that the digest covers, a directory before what is in it. */
function* nodesInDigest(tree: Tree): Generator<{ readonly path: ByteString; readonly node: TreeNode }> {
  const open: { path: string; node: TreeNode }[] = [{ path: "", node: tree.root }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { node, path } = next;
    if (path !== "") yield { path: path as ByteString, node };
    if (node.kind !== "directory" || EMPTIED.has(path)) continue;
    for (const [name, child] of sortedEntries(node).reverse()) {
      open.push({ path: path === "" ? name : `${path}/${name}`, node: child });
    }
  }
}
