import type { Descriptor } from "../../formats/oci/descriptor.ts";
import type { BlobDigest } from "../../formats/oci/digest.ts";
import { REF_NAME } from "../../formats/oci/image-index.ts";
import { isIndexMediaType, isManifestMediaType } from "../../formats/oci/media-types.ts";
import { RegistryError, VerificationError } from "../../lib/errors.ts";
import type { BlobUpload } from "../registry/blob-upload.ts";
import type { Repository } from "../registry/index.ts";
import { bytesBody, type RequestBody } from "../registry/transport.ts";
import { checkBlob, type NewBlob, readBlob } from "./blob.ts";
import type { Blob } from "./image.ts";
import type { ImageSink, ImageWriterOptions, Publication } from "./image-sink.ts";
import { remoteBlob } from "./registry-source.ts";

/**
 * Writes into a repository. Blobs and manifests come there under their digests, where nobody looks for them; the tag is
 * what publishes. What an abandoned writer leaves, the registry's garbage collection takes.
 */
export class RegistrySink implements ImageSink {
  readonly #repository: Repository;
  readonly #signal: AbortSignal | undefined;
  /** Blobs and manifests that are there, by size. */
  readonly #present = new Map<BlobDigest, number>();
  readonly #manifests = new Map<BlobDigest, Uint8Array>();
  /** Manifests that the registry lists by itself, among the referrers of these subjects. */
  readonly #listed = new Map<BlobDigest, BlobDigest>();

  constructor(repository: Repository, { signal }: ImageWriterOptions = {}) {
    this.#repository = repository;
    this.#signal = signal;
  }

  async has(digest: BlobDigest): Promise<boolean> {
    return (await this.#sizeOf(digest)) !== undefined;
  }

  async find(descriptor: Descriptor): Promise<Blob | undefined> {
    return (await this.has(descriptor.digest)) ? remoteBlob(this.#repository, descriptor) : undefined;
  }

  async put(blob: NewBlob, content: AsyncIterable<Uint8Array>): Promise<Descriptor> {
    const what = blob.digest ?? "blob";
    const isManifest = isManifestMediaType(blob.mediaType) || isIndexMediaType(blob.mediaType);
    if (!isManifest && blob.digest !== undefined && (await this.has(blob.digest))) {
      return await readBlob(blob, content, what, { signal: this.#signal });
    }
    const stream = checkBlob(blob, content, what, this.#signal);
    const first = await nextPiece(stream);
    if (first.end === undefined) return await this.#putInPieces(first.bytes, stream);
    const { bytes, end } = first;
    if (isManifest) {
      const subject = await this.#repository.storeManifest(bytes, blob.mediaType, end.digest);
      if (subject !== undefined) this.#listed.set(end.digest, subject);
      this.#manifests.set(end.digest, bytes);
    } else {
      await this.#upload(bytesBody(bytes), end.digest);
    }
    this.#present.set(end.digest, end.size);
    return end;
  }

  async copy(blob: Blob): Promise<Descriptor> {
    const { mediaType, digest, size, registry } = blob;
    if (isManifestMediaType(mediaType) || isIndexMediaType(mediaType)) return await this.put(blob, blob.open());
    const present = await this.#sizeOf(digest);
    if (present === undefined) {
      const open = (): AsyncIterable<Uint8Array> => checkBlob(blob, blob.open(), digest, this.#signal);
      const from = registry?.host === this.#repository.registry ? registry.repository : undefined;
      await this.#upload({ size, open }, digest, from);
      this.#present.set(digest, size);
    } else if (present !== size) {
      throw new VerificationError(
        "image.blob.size-mismatch",
        `${digest}: the registry has ${present} bytes, expected ${size}`,
        {
          data: { expected: size, found: present },
        },
      );
    }
    return { mediaType, digest, size };
  }

  async publish({ entries, referrers }: Publication): Promise<void> {
    const unlisted = Map.groupBy(
      referrers.filter(({ descriptor, subject }) => this.#listed.get(descriptor.digest) !== subject),
      ({ subject }) => subject,
    );
    for (const [subject, group] of unlisted) {
      const descriptors = group.map(({ descriptor }) => descriptor);
      await this.#repository.addToReferrersTag(subject, descriptors);
    }
    for (const { annotations, digest, mediaType } of entries) {
      const tag = annotations?.[REF_NAME];
      const bytes = this.#manifests.get(digest);
      if (tag !== undefined && bytes !== undefined) await this.#repository.storeManifest(bytes, mediaType, tag);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  async #sizeOf(digest: BlobDigest): Promise<number | undefined> {
    const known = this.#present.get(digest);
    if (known !== undefined) return known;
    const size = await this.#repository.findBlob(digest);
    if (size !== undefined) this.#present.set(digest, size);
    return size;
  }

  /** Uploads what can be read again, from the start when the registry forgets what it had. */
  async #upload(body: RequestBody, digest: BlobDigest, from?: string): Promise<void> {
    for (let starts = 1; ; starts++) {
      const upload = await this.#start(digest, starts === 1 ? from : undefined);
      if (upload === undefined) return;
      try {
        await upload.append(body);
        await this.#finish(upload, digest);
        return;
      } catch (error) {
        if (isLost(error) && starts < MAX_STARTS) continue;
        await upload.cancel();
        throw error;
      }
    }
  }

  /** Who may not read the other repository can still upload. */
  async #start(digest: BlobDigest, from: string | undefined): Promise<BlobUpload | undefined> {
    if (from === undefined || from === this.#repository.name) return await this.#repository.startUpload();
    try {
      return await this.#repository.startUpload({ digest, from });
    } catch (error) {
      if (error instanceof RegistryError && !error.temporary) return await this.#repository.startUpload();
      throw error;
    }
  }

  /** An answer that was lost on its way is no failure: the blob is there. */
  async #finish(upload: BlobUpload, digest: BlobDigest): Promise<void> {
    try {
      await upload.finish(digest);
    } catch (error) {
      if (!isLost(error) || (await this.#repository.findBlob(digest)) === undefined) throw error;
    }
  }

  /** A stream that nobody can repeat, in pieces that can. */
  async #putInPieces(first: Uint8Array, stream: Checked): Promise<Descriptor> {
    const upload = (await this.#repository.startUpload()) as BlobUpload;
    try {
      for (let piece: Piece = { bytes: first }; ; piece = await nextPiece(stream)) {
        const { bytes, end } = piece;
        await upload.append(bytesBody(bytes));
        if (end === undefined) continue;
        await this.#finish(upload, end.digest);
        this.#present.set(end.digest, end.size);
        return end;
      }
    } catch (error) {
      await upload.cancel();
      throw error;
    }
  }
}

const isLost = (error: unknown): boolean => error instanceof RegistryError && error.code === "registry.upload-lost";

/** Times an upload begins. */
const MAX_STARTS = 4;

/** What is held of a stream until the registry has it. Registries that want pieces want them of 5 MiB at least. */
const PIECE_SIZE = 8 << 20;

type Checked = ReturnType<typeof checkBlob>;

interface Piece {
  readonly bytes: Uint8Array;
  /** What the blob turned out to be, with its last piece. */
  readonly end?: Required<NewBlob>;
}

async function nextPiece(stream: Checked): Promise<Piece> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  while (size < PIECE_SIZE) {
    const next = await stream.next();
    if (next.done === true) return { bytes: Buffer.concat(chunks, size), end: next.value };
    chunks.push(next.value);
    size += next.value.length;
  }
  return { bytes: Buffer.concat(chunks, size) };
}
