/**
 * Layers as plain tars in local files, so that any content can be read at its place.
 *
 *     registry, gzip, zstd --> one temporary file a layer     read once, checked on the way
 *     plain tar in a file  --> as it is
 */
import { createHash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { type BlobDigest, blobDigestAlgorithm } from "../../formats/oci/index.ts";
import { NotFoundError, VerificationError } from "../../lib/errors.ts";
import { type Progress, silent } from "../../lib/progress.ts";
import { decompress } from "../../lib/streams/decompress.ts";
import { readExactly } from "../../lib/streams/pull.ts";
import { verifyDigest } from "../../lib/streams/verify-digest.ts";
import { openOutputFile, streamFile } from "../host-io/files.ts";
import { throwIfInterrupted } from "../host-io/interrupt.ts";
import { openTempDir } from "../host-io/temp.ts";
import type { FileRange, Image, Layer } from "../image/image.ts";
import type { Content } from "../tree/tree.ts";

/** Reads contents, one after another; what lies together is read together. */
export interface ContentReader {
  /**
   * The bytes of a content, or those of a part of it, in chunks that are valid until the next pull. They are not checked
   * against its digest.
   *
   * @throws {NotFoundError} `content.not-here` for content without bytes in these layers
   */
  stream(content: Content, from?: number, to?: number): AsyncIterable<Uint8Array>;
}

export interface PlainContents {
  /** For one stream of contents; several readers may read at the same time. */
  open(): ContentReader;
}

/** An image whose layers are plain tars. Closing it closes the image it was made from, and removes the files. */
export type PlainImage = Image & { readonly contents: PlainContents };

/** Layers that are unpacked at the same time: each has a thread that decompresses. */
const PARALLEL = 4;

export interface PlainLayersOptions {
  /** Indexes of layers that are wanted; the others stay as they are. Default: all. */
  readonly only?: ReadonlySet<number>;
  readonly signal?: AbortSignal | undefined;
  /** Step `layers.unpack`, in stored bytes. */
  readonly progress?: Progress | undefined;
}

/**
 * Unpacks the layers of an image that are packed or elsewhere. Takes as much room in the system's place for temporary
 * files as their tars have, and no memory to speak of.
 *
 * @throws {VerificationError} `blob.*` and `layer.diff-id-mismatch` when a layer is not what it says
 * @throws {InputOutputError} `output.no-space`
 */
export async function openPlainLayers(image: Image, options: PlainLayersOptions = {}): Promise<PlainImage> {
  const { only, progress = silent, signal } = options;
  const isLeft = (layer: Layer): boolean => isPlain(layer) || only?.has(layer.index) === false;
  const stack = new AsyncDisposableStack();
  stack.use(image);
  try {
    const temp = stack.use(await openTempDir());
    const total = image.layers.reduce((sum, layer) => sum + (isLeft(layer) ? 0 : layer.size), 0);
    let done = 0;
    const layers: Layer[] = [];
    const queue = image.layers.values();
    const work = async (): Promise<void> => {
      for (const layer of queue) {
        const read = (bytes: number): void => {
          throwIfInterrupted(signal);
          done += bytes;
          progress({ step: "layers.unpack", text: "unpacking layers", done, total, unit: "bytes" });
        };
        const path = join(temp.path, `${layer.index}.tar`);
        layers[layer.index] = isLeft(layer) ? layer : await unpack(layer, path, stack, read);
      }
    };
    const results = await Promise.allSettled(Array.from({ length: PARALLEL }, work));
    const failure = results.find((result) => result.status === "rejected");
    if (failure !== undefined) throw failure.reason;
    const contents = new LayerFiles(layers);
    stack.use(contents);
    return { ...image, layers, contents, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

const isPlain = ({ compression, file }: Layer): boolean => compression === "none" && file !== undefined;

async function unpack(
  layer: Layer,
  path: string,
  stack: AsyncDisposableStack,
  read: (bytes: number) => void,
): Promise<Layer> {
  const output = stack.use(await openOutputFile(path));
  const algorithm = blobDigestAlgorithm(layer.diffId);
  const hash = createHash(algorithm);
  async function* counted(): AsyncGenerator<Uint8Array, void, void> {
    for await (const chunk of layer.open()) {
      read(chunk.length);
      yield chunk;
    }
  }
  for await (const chunk of decompress(verifyDigest(counted(), layer.digest, layer.size), layer.compression)) {
    hash.update(chunk);
    await output.write(chunk);
  }
  const found = `${algorithm}:${hash.digest("hex")}`;
  if (found !== layer.diffId) {
    const message = `layer ${layer.index} (${layer.digest}): found ${found}, expected ${layer.diffId}`;
    throw new VerificationError("layer.diff-id-mismatch", message, { data: { expected: layer.diffId, found } });
  }
  const file = { path: output.temporaryPath, offset: 0, size: output.size };
  return plainLayer(layer, found as BlobDigest, file);
}

function plainLayer({ createdBy, diffId, index, mediaType }: Layer, digest: BlobDigest, file: FileRange): Layer {
  return {
    index,
    mediaType,
    compression: "none",
    digest,
    diffId,
    size: file.size,
    file,
    ...(createdBy === undefined ? {} : { createdBy }),
    open: () => streamFile(file.path, file.offset, file.size, `layer ${index}`),
  };
}

class LayerFiles implements PlainContents, AsyncDisposable {
  readonly #files: readonly (FileRange | undefined)[];
  readonly #handles = new Map<number, Promise<FileHandle>>();

  constructor(layers: readonly Layer[]) {
    this.#files = layers.map((layer) => (isPlain(layer) ? layer.file : undefined));
  }

  open(): ContentReader {
    return new WindowReader((layer) => this.#openLayer(layer));
  }

  async #openLayer(layer: number): Promise<OpenLayer> {
    const file = this.#files[layer];
    if (file === undefined) throw new NotFoundError("content.not-here", `layer ${layer} is not here in a plain file`);
    const handle = this.#handles.get(layer) ?? open(file.path);
    this.#handles.set(layer, handle);
    return { handle: await handle, file };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const handle of this.#handles.values()) await (await handle).close();
  }
}

interface OpenLayer {
  readonly handle: FileHandle;
  readonly file: FileRange;
}

/** Small files mostly lie in a layer as they are asked for: a read ahead has several. */
const WINDOW_SIZE = 1 << 17;

class WindowReader implements ContentReader {
  readonly #openLayer: (layer: number) => Promise<OpenLayer>;
  readonly #buffer = new Uint8Array(WINDOW_SIZE);
  /** What the buffer holds: a layer, an offset in its tar, bytes. */
  #layer = -1;
  #start = 0;
  #size = 0;

  constructor(openLayer: (layer: number) => Promise<OpenLayer>) {
    this.#openLayer = openLayer;
  }

  async *stream(content: Content, from = 0, to?: number): AsyncGenerator<Uint8Array, void, void> {
    if (content.kind === "inline") {
      yield content.bytes.subarray(from, to);
      return;
    }
    const origin = content.kind === "external" ? content.origin : undefined;
    if (origin?.kind !== "layer") {
      throw new NotFoundError("content.not-here", `the bytes of this ${content.kind} content are not in the image`);
    }
    const end = origin.offset + Math.min(Number(content.size), to ?? Number.POSITIVE_INFINITY);
    for (let at = origin.offset + from; at < end; ) {
      if (!this.#holds(origin.layer, at)) await this.#load(origin.layer, at);
      const chunk = this.#buffer.subarray(at - this.#start, Math.min(end - this.#start, this.#size));
      yield chunk;
      at += chunk.length;
    }
  }

  #holds(layer: number, at: number): boolean {
    return layer === this.#layer && at >= this.#start && at < this.#start + this.#size;
  }

  /** @throws {FormatError} `file.truncated` when the layer ends before `at` */
  async #load(layer: number, at: number): Promise<void> {
    const { file, handle } = await this.#openLayer(layer);
    const size = Math.max(1, Math.min(WINDOW_SIZE, file.size - at));
    await readExactly(handle, this.#buffer.subarray(0, size), file.offset + at, file.path);
    this.#layer = layer;
    this.#start = at;
    this.#size = size;
  }
}
