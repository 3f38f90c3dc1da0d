import { type ErofsImage, MODE_TYPE, MODE_TYPE_MASK, openErofs, type StoredInode } from "../../formats/erofs/index.ts";
import { type ByteString, byteString } from "../../lib/bytes/byte-string.ts";
import { FormatError, NotFoundError, quote } from "../../lib/errors.ts";
import { loadFile } from "../../model/host-io/files.ts";

/** Safety limit: the composefs image of a million files has about 300 MB. */
const MAX_IMAGE_SIZE = 1 << 30;

export type NodeKind = keyof typeof MODE_TYPE;

const KIND_OF = new Map<number, NodeKind>(
  (Object.keys(MODE_TYPE) as NodeKind[]).map((kind) => [MODE_TYPE[kind], kind]),
);

export interface OpenedImage {
  readonly bytes: Uint8Array;
  readonly image: ErofsImage;
}

/** A name in the image and the inode it stands for. */
export interface StoredNode {
  /** Absolute. */
  readonly path: ByteString;
  readonly kind: NodeKind;
  readonly inode: StoredInode;
}

/** @throws {FormatError} `erofs.*`; what `loadFile` throws */
export async function loadErofs(path: string): Promise<OpenedImage> {
  const bytes = await loadFile(path, "EROFS image", MAX_IMAGE_SIZE, "erofs.too-large");
  return { bytes, image: openErofs(bytes) };
}

export function nodeOf(image: ErofsImage, nid: number, path: string): StoredNode {
  const inode = image.inode(nid);
  // The reader takes only inodes of a kind that it knows.
  return { path: path as ByteString, kind: KIND_OF.get(inode.mode & MODE_TYPE_MASK) as NodeKind, inode };
}

/**
 * Finds a node by its path; symbolic links are not followed.
 *
 * @throws {NotFoundError} `erofs.path.not-found`
 */
export function findNode(image: ErofsImage, path: string): StoredNode {
  let node = nodeOf(image, image.superblock.rootNid, "/");
  for (const name of byteString(path).split("/")) {
    if (name === "" || name === ".") continue;
    const nid = node.kind === "directory" && image.entries(node.inode).find((entry) => entry.name === name)?.nid;
    if (nid === undefined || nid === false) {
      throw new NotFoundError("erofs.path.not-found", `the image has no ${quote(path)}; links are not followed`);
    }
    node = nodeOf(image, nid, join(node.path, name));
  }
  return node;
}

/** What is in a directory, in the order of names, without `.` and `..`. */
export function childrenOf(image: ErofsImage, directory: StoredNode): StoredNode[] {
  return image
    .entries(directory.inode)
    .filter(({ name }) => name !== "." && name !== "..")
    .map(({ name, nid }) => nodeOf(image, nid, join(directory.path, name)));
}

/**
 * Everything below a node, the node first, parents before children.
 *
 * @throws {FormatError} `erofs.directory.twice` where a directory is in two places, and so may be inside itself
 */
export function* nodesBelow(image: ErofsImage, start: StoredNode): Generator<StoredNode> {
  const seen = new Set<number>();
  const open = [start];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    yield node;
    if (node.kind !== "directory") continue;
    if (seen.has(node.inode.nid)) {
      throw new FormatError("erofs.directory.twice", {
        what: `EROFS image: directory ${quote(node.path)}`,
        expected: "a directory in one place",
        found: "one met before",
      });
    }
    seen.add(node.inode.nid);
    open.push(...childrenOf(image, node).reverse());
  }
}

const join = (directory: string, name: string): ByteString =>
  `${directory === "/" ? "" : directory}/${name}` as ByteString;
