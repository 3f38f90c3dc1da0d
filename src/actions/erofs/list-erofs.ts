/** Names in an EROFS image, as ls has them. */
import { type ErofsImage } from "../../formats/erofs/index.ts";
import { bytesToByteString, showByteString } from "../../lib/bytes/byte-string.ts";
import { contentOf } from "./content.ts";
import { childrenOf, findNode, loadErofs, type NodeKind, nodesBelow, type StoredNode } from "./open-image.ts";

export interface ListOptions {
  /** Default: `/`. */
  readonly path?: string | undefined;
  readonly recursive?: boolean;
  /** Also the names that composefs formats 0 and 1 add to the root of every image. */
  readonly all?: boolean;
}

export interface ListedNode {
  /** Bytes that are no UTF-8 are escaped. */
  readonly path: string;
  readonly kind: NodeKind;
  /** Permission bits. */
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** ISO 8601 in UTC, with nanoseconds where there are any. */
  readonly mtime: string;
  /** Of a symbolic link. */
  readonly target?: string;
  /** Of a file whose bytes are elsewhere. */
  readonly object?: string;
  readonly xattrs: readonly string[];
}

/** Longest link target that is read: PATH_MAX without its NUL. */
const TARGET_MAX = 4095;

/** @throws {NotFoundError} `erofs.path.not-found`; {FormatError} `erofs.*` */
export async function listErofs(file: string, options: ListOptions = {}): Promise<ListedNode[]> {
  const { path = "/", recursive = false, all = false } = options;
  const { image } = await loadErofs(file);
  const start = findNode(image, path);
  const found = recursive
    ? [...nodesBelow(image, start)]
    : start.kind === "directory"
      ? childrenOf(image, start)
      : [start];
  return found.filter((node) => all || !isStub(image, node)).map((node) => describe(image, node));
}

/** Empty character devices 0 named 00 to ff, where an object store has its directories. */
function isStub({ composefsVersion }: ErofsImage, { inode, kind, path }: StoredNode): boolean {
  return (
    composefsVersion !== undefined &&
    composefsVersion < 2 &&
    kind === "char" &&
    inode.union === 0 &&
    /^\/[0-9a-f]{2}$/.test(path)
  );
}

function describe(image: ErofsImage, node: StoredNode): ListedNode {
  const { gid, mode, mtimeNsec, mtimeSec, nlink, size, uid } = node.inode;
  const content = node.kind === "file" ? contentOf(image, node) : undefined;
  return {
    path: showByteString(node.path),
    kind: node.kind,
    mode: mode & 0o7777,
    nlink,
    uid,
    gid,
    size: Number(size),
    mtime: showTime(mtimeSec, mtimeNsec),
    ...(node.kind === "symlink"
      ? { target: showByteString(bytesToByteString(image.content(node.inode, TARGET_MAX))) }
      : {}),
    ...(content?.kind === "object" && content.object !== undefined ? { object: content.object } : {}),
    xattrs: image.xattrs(node.inode).map(({ name }) => showByteString(name)),
  };
}

/** Seconds beyond what a `Date` holds stay a number. */
const DATE_MAX_SECONDS = 8_640_000_000_000n;

function showTime(seconds: bigint, nanoseconds: number): string {
  const fraction = nanoseconds === 0 ? "" : `.${String(nanoseconds).padStart(9, "0")}`;
  if (seconds > DATE_MAX_SECONDS || seconds < -DATE_MAX_SECONDS) return `@${seconds}${fraction}`;
  return new Date(Number(seconds) * 1000).toISOString().replace(/\.\d+Z$/, `${fraction}Z`);
}
