import { alignUp } from "../../lib/bytes/numbers.ts";
import { UnsupportedError } from "../../lib/errors.ts";
import type { ImageBytes } from "./image-bytes.ts";
import { CHUNK_FORMAT, NULL_ADDRESS } from "./layout.ts";
import type { StoredInode } from "./read-inode.ts";
import { refuse } from "./refuse.ts";

/** Bytes in the image, or a hole without place. */
export type Extent = readonly [at: number | undefined, size: number];

/** Where the content is: offset and size of each run; no offset is a hole. All of them lie in the image. */
export function readExtents(
  image: ImageBytes,
  blockSize: number,
  inode: StoredInode,
  limit: number,
): readonly Extent[] {
  if (inode.size > BigInt(limit)) {
    throw refuse(
      "erofs.content.too-large",
      `inode ${inode.nid}: size`,
      undefined,
      `at most ${limit}`,
      String(inode.size),
    );
  }
  const size = Number(inode.size);
  if (size === 0) return [];
  switch (inode.layout) {
    case "flat-plain":
      return [extentAt(image, inode.union * blockSize, size)];
    case "flat-inline": {
      const inBlocks = (Math.ceil(size / blockSize) - 1) * blockSize;
      const tail = extentAt(image, inode.tailAt, size - inBlocks);
      return inBlocks === 0 ? [tail] : [extentAt(image, inode.union * blockSize, inBlocks), tail];
    }
    case "chunk-based":
      return readChunks(image, blockSize, inode, size);
    default:
      return inode.layout satisfies never;
  }
}

function readChunks(image: ImageBytes, blockSize: number, { union, tailAt }: StoredInode, size: number): Extent[] {
  const chunkSize = blockSize * 2 ** (union & CHUNK_FORMAT.bitsMask);
  const indexed = (union & CHUNK_FORMAT.indexes) !== 0;
  const entrySize = indexed ? 8 : 4;
  const count = Math.ceil(size / chunkSize);
  const base = alignUp(tailAt, entrySize);
  image.require(base, count * entrySize, "chunk addresses");
  const extents: Extent[] = [];
  for (let index = 0; index < count; index++) {
    // struct erofs_inode_chunk_index: advise, device id, block; or the block alone.
    const at = base + index * entrySize;
    const block = image.view.getUint32(at + entrySize - 4, true);
    const length = Math.min(chunkSize, size - index * chunkSize);
    if (indexed && image.view.getUint16(at + 2, true) !== 0) {
      throw new UnsupportedError("erofs.feature", "EROFS chunk on an extra device: only one device is read");
    }
    extents.push(block === NULL_ADDRESS ? [undefined, length] : extentAt(image, block * blockSize, length));
  }
  return extents;
}

function extentAt(image: ImageBytes, at: number, size: number): Extent {
  image.require(at, size, "content");
  return [at, size];
}
