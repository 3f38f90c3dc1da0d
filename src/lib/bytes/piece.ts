/**
 * What a disk format plans to write: pieces in ascending order, with holes (zeros) between them.
 *
 * A format never holds file contents. It places references of the caller's own type `C`, which the caller turns into
 * bytes when the piece is written; so a disk of any size is planned in the memory of its metadata.
 */
import { InputOutputError } from "../errors.ts";

export interface BytesPiece {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

export interface ContentPiece<C> {
  readonly offset: number;
  readonly content: C;
  /** First byte of `content` that belongs here. */
  readonly from: number;
  readonly size: number;
}

export type Piece<C> = BytesPiece | ContentPiece<C>;

/** Bytes of `content` from `from`, exactly `size` of them, in chunks of any size. */
export type OpenContent<C> = (
  content: C,
  from: number,
  size: number,
) => Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

export const isBytesPiece = <C>(piece: Piece<C>): piece is BytesPiece => "bytes" in piece;

/** Moves pieces of a file system to their place on the disk. */
export function* shiftPieces<C>(pieces: Iterable<Piece<C>>, by: number): Generator<Piece<C>, void, void> {
  for (const piece of pieces) yield { ...piece, offset: piece.offset + by };
}

/**
 * Streams the bytes of every piece, contents included.
 *
 * @throws {InputOutputError} `content.size-differs` when a content has not the size it was planned with
 */
export async function* resolvePieces<C>(
  pieces: Iterable<Piece<C>>,
  open: OpenContent<C>,
): AsyncGenerator<BytesPiece, void, void> {
  for (const piece of pieces) {
    if (isBytesPiece(piece)) {
      yield piece;
      continue;
    }
    let done = 0;
    for await (const bytes of open(piece.content, piece.from, piece.size)) {
      if (done + bytes.length > piece.size) throw sizeDiffers(piece, done + bytes.length);
      yield { offset: piece.offset + done, bytes };
      done += bytes.length;
    }
    if (done !== piece.size) throw sizeDiffers(piece, done);
  }
}

function sizeDiffers(piece: ContentPiece<unknown>, found: number): InputOutputError {
  return new InputOutputError(
    "content.size-differs",
    `content for byte ${piece.offset}: found ${found} bytes, expected ${piece.size}`,
  );
}
