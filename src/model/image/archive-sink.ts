import type { Descriptor } from "../../formats/oci/descriptor.ts";
import { type BlobDigest, toBlobDigest } from "../../formats/oci/digest.ts";
import { encodeImageIndex } from "../../formats/oci/image-index.ts";
import { BLOBS_DIRECTORY, blobPath, encodeLayoutFile, INDEX_FILE, LAYOUT_FILE } from "../../formats/oci/layout.ts";
import { encodeTarEntry, TAR_END, type TarEntry, tarPadding } from "../../formats/tar/index.ts";
import { type ByteString, byteString } from "../../lib/bytes/byte-string.ts";
import { UnsupportedError } from "../../lib/errors.ts";
import { type OutputFile, openOutputFile } from "../host-io/files.ts";
import { fileBlob, type NewBlob, readBlob } from "./blob.ts";
import type { Blob, FileRange } from "./image.ts";
import type { ImageSink, ImageWriterOptions, Publication } from "./image-sink.ts";
import { EMPTY_INDEX, withPublication } from "./index-entries.ts";

/**
 * Writes an OCI image layout as a tar archive. The same blobs in the same order give the same bytes: members have no
 * owner and no time.
 *
 * @throws {InputOutputError} `output.exists`, `output.unwritable`
 */
export async function openArchiveSink(path: string, options: ImageWriterOptions = {}): Promise<ImageSink> {
  const output = await openOutputFile(path, options);
  try {
    const sink = new ArchiveSink(output, options.signal);
    await sink.begin();
    return sink;
  } catch (error) {
    await output[Symbol.asyncDispose]();
    throw error;
  }
}

class ArchiveSink implements ImageSink {
  readonly #output: OutputFile;
  readonly #signal: AbortSignal | undefined;
  readonly #blobs = new Map<BlobDigest, FileRange>();
  readonly #directories = new Set<string>();
  /** Members stand one after the other, so they are written one after the other. */
  #queue: Promise<unknown> = Promise.resolve();

  constructor(output: OutputFile, signal: AbortSignal | undefined) {
    this.#output = output;
    this.#signal = signal;
  }

  async begin(): Promise<void> {
    await this.#writeFile(LAYOUT_FILE, encodeLayoutFile());
  }

  has(digest: BlobDigest): Promise<boolean> {
    return this.#next(() => Promise.resolve(this.#blobs.has(digest)));
  }

  async find(descriptor: Descriptor, what: string): Promise<Blob | undefined> {
    const range = await this.#next(() => Promise.resolve(this.#blobs.get(descriptor.digest)));
    return range === undefined ? undefined : fileBlob(descriptor, range, what);
  }

  put(blob: NewBlob, content: AsyncIterable<Uint8Array>): Promise<Descriptor> {
    return this.#next(() => this.#append(blob, content));
  }

  async copy(blob: Blob): Promise<Descriptor> {
    const { mediaType, digest, size } = blob;
    if (await this.has(digest)) return { mediaType, digest, size };
    return await this.put({ mediaType, digest, size }, blob.open());
  }

  publish(publication: Publication): Promise<void> {
    return this.#next(async () => {
      await this.#writeFile(INDEX_FILE, encodeImageIndex(withPublication(EMPTY_INDEX, publication)));
      await this.#output.write(TAR_END);
      await this.#output.commit();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#queue.catch(() => {});
    await this.#output[Symbol.asyncDispose]();
  }

  #next<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(work, work);
    this.#queue = result;
    // The caller gets the rejection through `result`; the queue itself goes on.
    this.#queue.catch(() => {});
    return result;
  }

  /** The header comes before the content, but only says the right thing once the content was seen. */
  async #append(blob: NewBlob, content: AsyncIterable<Uint8Array>): Promise<Descriptor> {
    const start = this.#output.size;
    try {
      await this.#addDirectories(blob.digest ?? UNKNOWN_DIGEST);
      const headerOffset = this.#output.size;
      const space = blobHeader(blob.digest ?? UNKNOWN_DIGEST, blob.size ?? 0);
      await this.#output.write(space);
      const offset = this.#output.size;
      const write = (chunk: Uint8Array): Promise<void> => this.#output.write(chunk);
      const found = await readBlob(blob, content, blob.digest ?? "blob", { signal: this.#signal, write });
      await this.#output.write(tarPadding(found.size));
      const header = blobHeader(found.digest, found.size);
      if (header.length !== space.length) throw headerGrew(found.size);
      await this.#output.replace(headerOffset, header);
      if (this.#blobs.has(found.digest)) await this.#output.truncate(headerOffset);
      else this.#blobs.set(found.digest, { path: this.#output.temporaryPath, offset, size: found.size });
      return found;
    } catch (error) {
      await this.#output.truncate(start);
      throw error;
    }
  }

  async #addDirectories(digest: BlobDigest): Promise<void> {
    const algorithm = blobPath(digest).split("/").slice(0, 2).join("/");
    for (const directory of [BLOBS_DIRECTORY, algorithm]) {
      if (this.#directories.has(directory)) continue;
      await this.#output.write(encodeTarEntry({ ...memberMetadata(`${directory}/`, 0o755), kind: "directory" }));
      this.#directories.add(directory);
    }
  }

  async #writeFile(name: string, bytes: Uint8Array): Promise<void> {
    await this.#output.write(fileHeader(name, bytes.length));
    await this.#output.write(bytes);
    await this.#output.write(tarPadding(bytes.length));
  }
}

/** Stands in a header until the digest is known; every SHA-256 name is as long. */
const UNKNOWN_DIGEST: BlobDigest = toBlobDigest(new Uint8Array());

const blobHeader = (digest: BlobDigest, size: number): Uint8Array => fileHeader(blobPath(digest), size);

const fileHeader = (name: string, size: number): Uint8Array =>
  encodeTarEntry({ ...memberMetadata(name, 0o644), kind: "file", size });

function memberMetadata(name: string, mode: number): Omit<TarEntry & { kind: "directory" }, "kind"> {
  const path: ByteString = byteString(name);
  return { path, mode, uid: 0, gid: 0, mtimeSec: 0n, mtimeNsec: 0, xattrs: new Map() };
}

/** From 8 GiB on the size needs a PAX header; there is no room for one when the size was not said before. */
function headerGrew(size: number): UnsupportedError {
  return new UnsupportedError(
    "output.blob-too-large",
    `a blob of ${size} bytes in an archive needs its size beforehand`,
  );
}
