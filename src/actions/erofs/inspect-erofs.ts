/** What an EROFS image is: header, superblock, counts, and its own fs-verity digests. */
import type { ErofsSuperblock } from "../../formats/erofs/index.ts";
import { computeFsverityDigest } from "../../formats/fsverity/index.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { contentOf } from "./content.ts";
import { findNode, loadErofs, type NodeKind, nodesBelow } from "./open-image.ts";

export interface ErofsReport {
  readonly file: string;
  /** Bytes. */
  readonly size: number;
  /** Of the file, lower-case hex: of a sealed tree's image, one of them is the digest on the command line. */
  readonly fsverity: { readonly sha256: string; readonly sha512: string };
  /** Version in the composefs header; `null` without one. */
  readonly composefsVersion: number | null;
  readonly superblock: Omit<ErofsSuperblock, "inodeCount" | "buildTime"> & {
    readonly inodeCount: number;
    /** Seconds since 1970. */
    readonly buildTime: number;
  };
  /** Names by kind; a hard link counts as often as it has names. */
  readonly names: Readonly<Record<NodeKind, number>>;
  /** Distinct inodes that names lead to. */
  readonly inodes: number;
  readonly contents: {
    /** Files with their bytes in the image. */
    readonly stored: { readonly files: number; readonly bytes: number };
    /** Files whose bytes are objects elsewhere. */
    readonly objects: { readonly files: number; readonly bytes: number };
  };
}

/** @throws {FormatError} `erofs.*` */
export async function inspectErofs(file: string): Promise<ErofsReport> {
  const { bytes, image } = await loadErofs(file);
  const names = { fifo: 0, char: 0, directory: 0, block: 0, file: 0, symlink: 0, socket: 0 };
  const seen = new Set<number>();
  const stored = { files: 0, bytes: 0 };
  const objects = { files: 0, bytes: 0 };
  for (const node of nodesBelow(image, findNode(image, "/"))) {
    names[node.kind]++;
    if (seen.has(node.inode.nid)) continue;
    seen.add(node.inode.nid);
    if (node.kind !== "file") continue;
    const where = contentOf(image, node).kind === "object" ? objects : stored;
    where.files++;
    where.bytes += Number(node.inode.size);
  }
  const { inodeCount, buildTime, ...superblock } = image.superblock;
  return {
    file,
    size: bytes.length,
    fsverity: {
      sha256: toHex(computeFsverityDigest(bytes, "sha256")),
      sha512: toHex(computeFsverityDigest(bytes, "sha512")),
    },
    composefsVersion: image.composefsVersion ?? null,
    superblock: { ...superblock, inodeCount: Number(inodeCount), buildTime: Number(buildTime) },
    names,
    inodes: seen.size,
    contents: { stored, objects },
  };
}
