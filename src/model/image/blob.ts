/** Stored bytes, and the check that they are the ones their digest names. */
import { createHash } from "node:crypto";
import { type BlobDigest, blobDigestAlgorithm, toBlobDigest } from "../../formats/oci/digest.ts";
import { FormatError, VerificationError } from "../../lib/errors.ts";
import { streamFile } from "../host-io/files.ts";
import { throwIfInterrupted } from "../host-io/interrupt.ts";
import type { Blob, FileRange } from "./image.ts";

/** What a blob is. */
export interface BlobIdentity {
  readonly mediaType: string;
  readonly digest: BlobDigest;
  readonly size: number;
}

/** What is known of a blob before its bytes are seen. The digest is SHA-256 if none is given. */
export type NewBlob = Partial<BlobIdentity> & Pick<BlobIdentity, "mediaType">;

/**
 * @param what the blob, for messages: "oci:x: layer 3"
 * @throws {VerificationError} `image.blob.size-mismatch`
 */
export function fileBlob({ mediaType, digest, size }: BlobIdentity, file: FileRange, what: string): Blob {
  if (file.size !== size) throw sizeMismatch(what, size, file.size);
  return { mediaType, digest, size, file, open: () => streamFile(file.path, file.offset, file.size, what) };
}

export function memoryBlob(bytes: Uint8Array, mediaType: string): Blob {
  return { mediaType, digest: toBlobDigest(bytes), size: bytes.length, open: () => streamBytes(bytes) };
}

// oxlint-disable-next-line require-await -- the interface is that of a stream
export async function* streamBytes(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
  yield bytes;
}

export interface ReadBlobOptions {
  readonly signal?: AbortSignal | undefined;
  /** Gets the bytes, in order, before it is known whether they are the right ones. */
  readonly write?: (chunk: Uint8Array) => void | Promise<void>;
}

/**
 * Passes a stream on and checks it against what is known of the blob, the digest when the stream ends.
 *
 * @param what the blob, for messages
 * @returns what the blob turned out to be
 * @throws {VerificationError} `image.blob.digest-mismatch`; `image.blob.size-mismatch`, as soon as it is too long
 */
export async function* checkBlob(
  known: NewBlob,
  content: AsyncIterable<Uint8Array>,
  what: string,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, BlobIdentity, void> {
  const algorithm = known.digest === undefined ? "sha256" : blobDigestAlgorithm(known.digest);
  const hash = createHash(algorithm);
  let size = 0;
  for await (const chunk of content) {
    throwIfInterrupted(signal);
    size += chunk.length;
    if (known.size !== undefined && size > known.size) throw sizeMismatch(what, known.size, size);
    hash.update(chunk);
    yield chunk;
  }
  throwIfInterrupted(signal);
  if (known.size !== undefined && size !== known.size) throw sizeMismatch(what, known.size, size);
  const digest = `${algorithm}:${hash.digest("hex")}` as BlobDigest;
  if (known.digest !== undefined && digest !== known.digest) throw digestMismatch(what, known.digest, digest);
  return { mediaType: known.mediaType, digest, size };
}

/** As `checkBlob`, for who wants to know what the blob is more than to have its bytes. */
export async function readBlob(
  known: NewBlob,
  content: AsyncIterable<Uint8Array>,
  what: string,
  { signal, write }: ReadBlobOptions = {},
): Promise<BlobIdentity> {
  const stream = checkBlob(known, content, what, signal);
  try {
    for (;;) {
      const next = await stream.next();
      if (next.done === true) return next.value;
      await write?.(next.value);
    }
  } finally {
    await stream.return(undefined as never);
  }
}

/**
 * Reads a small blob whole and checks it.
 *
 * @throws {FormatError} `tooLargeCode` before anything is read
 * @throws what `readBlob` throws
 */
export async function loadBlob(blob: Blob, what: string, maxSize: number, tooLargeCode: string): Promise<Uint8Array> {
  if (blob.size > maxSize) {
    throw new FormatError(tooLargeCode, { what, expected: `at most ${maxSize} bytes`, found: `${blob.size}` });
  }
  const chunks: Uint8Array[] = [];
  await readBlob(blob, blob.open(), what, { write: (chunk) => void chunks.push(chunk) });
  return Buffer.concat(chunks, blob.size);
}

export function digestMismatch(what: string, expected: BlobDigest, found: BlobDigest): VerificationError {
  return new VerificationError("image.blob.digest-mismatch", `${what}: found ${found}, expected ${expected}`, {
    data: { expected, found },
  });
}

function sizeMismatch(what: string, expected: number, found: number): VerificationError {
  return new VerificationError("image.blob.size-mismatch", `${what}: found ${found} bytes, expected ${expected}`, {
    data: { expected, found },
  });
}
