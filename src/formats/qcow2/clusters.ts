import type { BytesPiece } from "../../lib/bytes/piece.ts";
import { CLUSTER_SIZE } from "./layout.ts";

/** One cluster of the disk that is not all zeros. */
export interface Cluster {
  readonly index: number;
  /** CLUSTER_SIZE bytes, valid until the next is pulled. */
  readonly bytes: Uint8Array;
}

const ZEROS = Buffer.alloc(CLUSTER_SIZE);

/**
 * Cuts the pieces of a disk into clusters and leaves out those of zeros.
 *
 * @throws {RangeError} when the pieces are not in order or leave the disk
 */
export async function* toClusters(
  disk: Iterable<BytesPiece> | AsyncIterable<BytesPiece>,
  size: number,
): AsyncGenerator<Cluster, void, void> {
  const buffer = Buffer.alloc(CLUSTER_SIZE);
  /** The cluster that `buffer` belongs to, and how far it is filled. */
  let index = 0;
  let fill = 0;
  let end = 0;
  for await (const { offset, bytes } of disk) {
    if (offset < end || offset + bytes.length > size) {
      throw new RangeError(`piece of ${bytes.length} bytes at ${offset}: not between ${end} and ${size}`);
    }
    end = offset + bytes.length;
    for (let at = 0; at < bytes.length; ) {
      const place = offset + at;
      const wanted = Math.floor(place / CLUSTER_SIZE);
      if (wanted !== index) {
        if (fill > 0 && !ZEROS.equals(buffer)) yield { index, bytes: buffer };
        if (fill > 0) buffer.fill(0);
        index = wanted;
        fill = 0;
      }
      const inside = place % CLUSTER_SIZE;
      const part = bytes.subarray(at, at + CLUSTER_SIZE - inside);
      at += part.length;
      if (part.length === CLUSTER_SIZE) {
        // A whole cluster is passed on as it is. Nothing was buffered for it.
        if (!ZEROS.equals(part)) yield { index, bytes: part };
      } else {
        buffer.set(part, inside);
        fill = inside + part.length;
      }
    }
  }
  if (fill > 0 && !ZEROS.equals(buffer)) yield { index, bytes: buffer };
}
