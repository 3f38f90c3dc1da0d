import { constants, createZstdDecompress, zstdDecompress, zstdDecompressSync } from "node:zlib";
import { FormatError, SealwrightError } from "../errors.ts";
import { ONE_AT_A_TIME, through } from "./through.ts";
import { type FramePiece, ZSTD_WINDOW_LOG_MAX, ZstdFrames } from "./zstd-frames.ts";

/** A frame up to this size, decoded and stored, is decoded in one go, several at a time; others are streamed. */
const WHOLE_FRAME_MAX = 1 << 20;
/** Up to here decoding costs less than a round through libuv's threads (17 µs against 50 µs for 440 bytes). */
const INLINE_FRAME_MAX = 16 << 10;
/** Frames in flight on libuv's threads. */
const IN_FLIGHT_MAX = 8;

const params = { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG_MAX };

/**
 * Decodes zstd, all its frames; skippable ones are passed over. Small frames, as zstd:chunked layers have
 * them by the thousand, are decoded in parallel.
 *
 * @throws {FormatError} `zstd.truncated`, `zstd.corrupt`, `zstd.magic-unknown` (also for garbage after a frame), and
 *   the other refusals of `ZstdFrames`
 */
export async function* unzstd(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  const pieces = framePieces(source);
  const ready: Promise<Uint8Array>[] = [];
  try {
    for (;;) {
      const frame = await nextFrame(pieces);
      if (frame === undefined) break;
      if (frame.kind === "whole") {
        ready.push(decodeWhole(frame.bytes, frame.decodedMax));
        if (ready.length >= IN_FLIGHT_MAX) yield (await ready.shift()) as Uint8Array;
      } else {
        while (ready.length > 0) yield (await ready.shift()) as Uint8Array;
        yield* through(frame.pieces, createZstdDecompress({ ...ONE_AT_A_TIME, params }));
      }
    }
    while (ready.length > 0) yield (await ready.shift()) as Uint8Array;
  } catch (error) {
    throw refusal(error);
  } finally {
    await pieces.return(undefined);
  }
}

type Frame =
  | { readonly kind: "whole"; readonly bytes: Uint8Array; readonly decodedMax: number }
  | { readonly kind: "streamed"; readonly pieces: AsyncIterable<Uint8Array> };

type Pieces = AsyncGenerator<FramePiece, void, void>;

async function* framePieces(source: AsyncIterable<Uint8Array>): Pieces {
  const frames = new ZstdFrames();
  for await (const chunk of source) yield* frames.push(chunk);
  frames.end();
}

/** The next frame that holds content. Of a streamed one all pieces must be taken before the next call. */
async function nextFrame(pieces: Pieces): Promise<Frame | undefined> {
  let size = 0;
  const kept: Uint8Array[] = [];
  for (;;) {
    const { done, value: piece } = await pieces.next();
    if (done) return undefined;
    if (piece.skippable) {
      kept.length = 0; // the first bytes of a magic do not tell yet
      size = 0;
      continue;
    }
    kept.push(piece.last && kept.length === 0 ? piece.bytes : piece.bytes.slice());
    size += piece.bytes.length;
    const decodedMax = piece.decodedMax === undefined ? 0 : Number(piece.decodedMax);
    if (size > WHOLE_FRAME_MAX || decodedMax > WHOLE_FRAME_MAX) {
      return { kind: "streamed", pieces: restOfFrame(kept, piece.last, pieces) };
    }
    if (piece.last) {
      // Its own copy, unless it is decoded before more is read.
      const bytes = kept.length === 1 && decodedMax <= INLINE_FRAME_MAX ? piece.bytes : Buffer.concat(kept);
      return { kind: "whole", bytes, decodedMax };
    }
  }
}

async function* restOfFrame(
  kept: readonly Uint8Array[],
  ended: boolean,
  pieces: Pieces,
): AsyncGenerator<Uint8Array, void, void> {
  yield* kept;
  let last = ended;
  while (!last) {
    const { done, value: piece } = await pieces.next();
    if (done) return;
    yield piece.bytes;
    ({ last } = piece);
  }
}

function decodeWhole(bytes: Uint8Array, decodedMax: number): Promise<Uint8Array> {
  const options = { params, maxOutputLength: Math.max(1, decodedMax), chunkSize: Math.max(64, decodedMax) };
  if (decodedMax <= INLINE_FRAME_MAX) return Promise.resolve(zstdDecompressSync(bytes, options));
  const decoded = new Promise<Uint8Array>((resolve, reject) => {
    zstdDecompress(bytes, options, (error, result) => (error === null ? resolve(result) : reject(error)));
  });
  decoded.catch(() => {}); // thrown when its turn comes
  return decoded;
}

function refusal(error: unknown): unknown {
  if (error instanceof SealwrightError) return error;
  const { code, message } = error as { code?: string; message?: string };
  if (code === undefined || !/^(ZSTD_|Z_|ERR_BUFFER_TOO_LARGE)/.test(code)) return error;
  return new FormatError(
    "zstd.corrupt",
    { what: "zstd frame", expected: "content that decodes", found: message ?? code },
    { cause: error },
  );
}
