import type { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";

/** What an engine of node:zlib must be made with: one chunk at a time, since a chunk is only valid until the next pull. */
export const ONE_AT_A_TIME = { writableHighWaterMark: 1, chunkSize: 256 << 10 } as const;

/**
 * Pulls a source through an engine of node:zlib, which works on libuv's threads.
 *
 * @throws whatever the source or the engine throws; both are closed when the consumer leaves early
 */
export async function* through(
  source: AsyncIterable<Uint8Array>,
  engine: Transform,
): AsyncGenerator<Uint8Array, void, void> {
  const fed = pipeline(source, engine);
  fed.catch(() => {}); // the loop below throws the same error
  try {
    for await (const chunk of engine as AsyncIterable<Uint8Array>) yield chunk;
    await fed;
  } finally {
    engine.destroy();
  }
}
