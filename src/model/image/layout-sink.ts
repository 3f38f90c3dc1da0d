import { type BigIntStats, constants } from "node:fs";
import { chmod, copyFile, mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Descriptor } from "../../formats/oci/descriptor.ts";
import type { BlobDigest } from "../../formats/oci/digest.ts";
import { encodeImageIndex } from "../../formats/oci/image-index.ts";
import { blobPath, encodeLayoutFile, INDEX_FILE, LAYOUT_FILE } from "../../formats/oci/layout.ts";
import { VerificationError } from "../../lib/errors.ts";
import { errnoOf, outputError, outputExists } from "../host-io/errors.ts";
import { openOutputFile, storeFile, syncDirectory, syncFile } from "../host-io/files.ts";
import { throwIfInterrupted } from "../host-io/interrupt.ts";
import { openTempDirBeside, type TempDir } from "../host-io/temp.ts";
import { fileBlob, type NewBlob, readBlob } from "./blob.ts";
import { openDirectoryStore } from "./file-store.ts";
import type { Blob } from "./image.ts";
import type { ImageSink, ImageWriterOptions, Publication } from "./image-sink.ts";
import { EMPTY_INDEX, withPublication } from "./index-entries.ts";
import { loadLayoutIndex } from "./layout-source.ts";

/**
 * Writes into an OCI image layout. Blobs wait in a hidden directory; a new layout is that directory, renamed, an
 * existing one gets the blobs first and then, in one rename, the new `index.json`.
 *
 * Two writers that publish into one layout at the same moment can lose the entry of the first.
 *
 * @throws {InputOutputError} `output.exists` for a file or a directory with something else, `output.unwritable`
 */
export async function openLayoutSink(path: string, { signal }: ImageWriterOptions = {}): Promise<ImageSink> {
  throwIfInterrupted(signal);
  const present = await inspect(path);
  const temp = await openTempDirBeside(present === "absent" ? path : join(path, "blob"));
  const root = present === "absent" ? temp.path : path;
  return new LayoutSink(path, root, temp, signal);
}

/** What is at the path of the output: nothing, an empty directory, a layout. Anything else is left alone. */
async function inspect(path: string): Promise<"absent" | "empty" | "layout"> {
  try {
    const names = await readdir(path);
    if (names.length === 0) return "empty";
    if (names.includes(LAYOUT_FILE)) return "layout";
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return "absent";
    if (errnoOf(error) !== "ENOTDIR") throw outputError(error, path);
  }
  throw outputExists(path, "choose a new directory, or one that holds an OCI image layout");
}

class LayoutSink implements ImageSink {
  readonly #path: string;
  /** The layout to be: `path`, or the temporary directory that becomes it. */
  readonly #root: string;
  readonly #temp: TempDir;
  readonly #signal: AbortSignal | undefined;
  /** Where the blobs wait. */
  readonly #staged = new Map<BlobDigest, string>();
  #count = 0;
  #published = false;

  constructor(path: string, root: string, temp: TempDir, signal: AbortSignal | undefined) {
    this.#path = path;
    this.#root = root;
    this.#temp = temp;
    this.#signal = signal;
  }

  async has(digest: BlobDigest): Promise<boolean> {
    return this.#staged.has(digest) || (await this.#find(digest)) !== undefined;
  }

  async find(descriptor: Descriptor, what: string): Promise<Blob | undefined> {
    const path = this.#staged.get(descriptor.digest) ?? (await this.#find(descriptor.digest))?.path;
    if (path === undefined) return undefined;
    return fileBlob(descriptor, { path, offset: 0, size: (await stat(path)).size }, what);
  }

  async put(blob: NewBlob, content: AsyncIterable<Uint8Array>): Promise<Descriptor> {
    const waiting = this.#newName();
    await using output = await openOutputFile(waiting, { overwrite: true });
    const write = (chunk: Uint8Array): Promise<void> => output.write(chunk);
    const found = await readBlob(blob, content, blob.digest ?? "blob", { signal: this.#signal, write });
    await output.commit();
    await this.#stage(found.digest, waiting);
    return found;
  }

  async copy(blob: Blob): Promise<Descriptor> {
    const { mediaType, digest, size, file } = blob;
    const descriptor = { mediaType, digest, size };
    if (this.#staged.has(digest)) return descriptor;
    const source = file && (await stat(file.path, { bigint: true }));
    const whole = source !== undefined && file?.offset === 0 && source.size === BigInt(size);
    const present = await this.#find(digest);
    if (present !== undefined) {
      // The reader of the image verifies its own file; a file we only find here is verified now.
      if (whole && present.stat.dev === source.dev && present.stat.ino === source.ino) return descriptor;
      if (await this.#isSound(descriptor, present.path, Number(present.stat.size))) return descriptor;
    }
    if (file === undefined || !whole) return await this.put(descriptor, blob.open());
    const waiting = this.#newName();
    await this.#translated(copyFile(file.path, waiting, constants.COPYFILE_FICLONE));
    await this.#translated(chmod(waiting, 0o644));
    await this.#read(descriptor, waiting, size);
    await this.#translated(syncFile(waiting));
    await this.#stage(digest, waiting);
    return descriptor;
  }

  async publish(publication: Publication): Promise<void> {
    throwIfInterrupted(this.#signal);
    await this.#translated(this.#moveBlobs());
    const store = await openDirectoryStore(this.#root);
    if ((await store.find(LAYOUT_FILE)) === undefined) {
      await storeFile(join(this.#root, LAYOUT_FILE), encodeLayoutFile());
    }
    const index = (await store.find(INDEX_FILE)) === undefined ? EMPTY_INDEX : await loadLayoutIndex(store, this.#path);
    await storeFile(join(this.#root, INDEX_FILE), encodeImageIndex(withPublication(index, publication)), {
      overwrite: true,
    });
    if (this.#root === this.#path) return;
    await this.#translated(chmod(this.#root, 0o755));
    await this.#translated(rename(this.#root, this.#path).catch(refuseTaken(this.#path)));
    this.#published = true;
    await this.#translated(syncDirectory(dirname(this.#path)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#published) await this.#temp[Symbol.asyncDispose]();
  }

  async #moveBlobs(): Promise<void> {
    const directories = new Set<string>();
    for (const [digest, waiting] of this.#staged) {
      const place = join(this.#root, blobPath(digest));
      const directory = dirname(place);
      if (!directories.has(directory)) await mkdir(directory, { recursive: true });
      directories.add(directory);
      await rename(waiting, place);
    }
    this.#staged.clear();
    for (const directory of directories) await syncDirectory(directory);
  }

  async #find(digest: BlobDigest): Promise<{ path: string; stat: BigIntStats } | undefined> {
    const path = join(this.#root, blobPath(digest));
    try {
      const found = await stat(path, { bigint: true });
      return found.isFile() ? { path, stat: found } : undefined;
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return undefined;
      throw outputError(error, path);
    }
  }

  /** @throws {VerificationError} when the file is not the blob */
  async #read(blob: Descriptor, path: string, size: number): Promise<void> {
    const file = fileBlob(blob, { path, offset: 0, size }, blob.digest);
    await readBlob(blob, file.open(), blob.digest, { signal: this.#signal });
  }

  async #isSound(blob: Descriptor, path: string, size: number): Promise<boolean> {
    try {
      await this.#read(blob, path, size);
      return true;
    } catch (error) {
      if (error instanceof VerificationError) return false;
      throw error;
    }
  }

  async #stage(digest: BlobDigest, waiting: string): Promise<void> {
    const earlier = this.#staged.get(digest);
    this.#staged.set(digest, waiting);
    if (earlier !== undefined) await rm(earlier);
  }

  #newName(): string {
    this.#count += 1;
    return join(this.#temp.path, `blob-${this.#count}`);
  }

  async #translated<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      throw outputError(error, this.#path);
    }
  }
}

/** Somebody else may have made the output while we worked. */
const refuseTaken = (path: string) => (error: unknown) => {
  if (["ENOTEMPTY", "EEXIST", "ENOTDIR"].includes(errnoOf(error) ?? ""))
    throw outputExists(path, "it came while we worked");
  throw error;
};
