import { throwIfInterrupted } from "../host-io/interrupt.ts";
import type { Blob } from "./image.ts";
import type { ImageWriter } from "./image-writer.ts";

export interface CopyBlobsOptions {
  readonly signal?: AbortSignal | undefined;
  /** Is told the bytes of blobs as they are copied, or found to be there. */
  readonly onProgress?: (bytes: number) => void;
}

/** Blobs at a time: enough to fill a line while one waits for an answer, few enough for a registry not to mind. */
const PARALLEL = 4;

/**
 * Copies blobs, each digest once, some at a time.
 *
 * @returns bytes that were read from the source, where the destination had no shorter way
 * @throws the first failure; the copies that run beside it end first
 */
export async function copyBlobs(
  writer: Pick<ImageWriter, "copyBlob">,
  blobs: Iterable<Blob>,
  { onProgress, signal }: CopyBlobsOptions = {},
): Promise<number> {
  const queue = [...new Map([...blobs].map((blob) => [blob.digest, blob])).values()].values();
  let moved = 0;
  let stopped = false;
  const work = async (): Promise<void> => {
    for (const blob of queue) {
      if (stopped) return;
      throwIfInterrupted(signal);
      let read = 0;
      const counted = countBytes(blob, (bytes) => {
        read += bytes;
        moved += bytes;
        if (read <= blob.size) onProgress?.(bytes);
      });
      await writer.copyBlob(counted);
      onProgress?.(Math.max(0, blob.size - read));
    }
  };
  const results = await Promise.allSettled(
    Array.from({ length: PARALLEL }, async () => {
      try {
        await work();
      } catch (error) {
        stopped = true;
        throw error;
      }
    }),
  );
  const failure = results.find((result) => result.status === "rejected");
  if (failure !== undefined) throw failure.reason;
  return moved;
}

function countBytes(blob: Blob, count: (bytes: number) => void): Blob {
  return {
    ...blob,
    async *open() {
      for await (const chunk of blob.open()) {
        count(chunk.length);
        yield chunk;
      }
    },
  };
}
