import { quote } from "../../lib/errors.ts";
import { malformedAnswer } from "./failure.ts";
import type { Session } from "./session.ts";
import type { HttpResponse } from "./transport.ts";

export interface BlobDownload {
  readonly url: string;
  readonly scopes: readonly string[];
  readonly size: number;
  readonly what: string;
}

/** So many bytes without a failure are progress, after which failures are counted anew. */
const PROGRESS_SIZE = 1 << 20;

/**
 * Streams a blob; where the connection drops, asks for the rest (RFC 9110, 14). Never gives more than `size` bytes and
 * one chunk; a registry that has fewer gives fewer, and the reader's check of the size tells.
 */
export async function* downloadBlob(session: Session, blob: BlobDownload): AsyncGenerator<Uint8Array, void, void> {
  const attempts = session.attempts();
  let offset = 0;
  let failedAt = 0;
  for (;;) {
    try {
      for await (const chunk of await rest(session, blob, offset)) {
        offset += chunk.length;
        yield chunk;
        if (offset > blob.size) return;
      }
      return;
    } catch (error) {
      if (offset - failedAt >= PROGRESS_SIZE) attempts.reset();
      failedAt = offset;
      await attempts.afterFailure(error);
    }
  }
}

async function rest(session: Session, blob: BlobDownload, offset: number): Promise<AsyncIterable<Uint8Array>> {
  const { scopes, size, url, what } = blob;
  const headers = offset === 0 ? {} : { range: `bytes=${offset}-` };
  const accept = offset === 0 ? [200] : [200, 206];
  const response = await session.sendOnce({ method: "GET", url, headers, scopes, accept, what });
  const length = Number(response.header("content-length") ?? 0);
  const start = response.status === 206 ? rangeStart(response, what) : 0;
  if (start > offset || start + length > size) {
    await response.discard();
    const found = start > offset ? `bytes from ${start} on` : `${start + length} bytes`;
    throw malformedAnswer(what, response.url, `bytes ${offset} to ${size}`, found);
  }
  return skip(response.body(), offset - start);
}

/** `Content-Range: bytes 100-199/200`. */
function rangeStart(response: HttpResponse, what: string): number {
  const range = response.header("content-range") ?? "";
  const [, start] = /^bytes (\d{1,15})-\d{1,15}\/(?:\d{1,15}|\*)$/.exec(range) ?? [];
  if (start === undefined) throw malformedAnswer(what, response.url, "a Content-Range", quote(range));
  return Number(start);
}

/** Leaves out the first bytes of a stream. */
export async function* skip(content: AsyncIterable<Uint8Array>, count: number): AsyncGenerator<Uint8Array, void, void> {
  let left = count;
  for await (const chunk of content) {
    if (left < chunk.length) yield left === 0 ? chunk : chunk.subarray(left);
    left = Math.max(0, left - chunk.length);
  }
}
