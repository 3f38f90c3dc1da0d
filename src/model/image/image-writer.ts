import type { Descriptor } from "../../formats/oci/descriptor.ts";
import { type BlobDigest, toBlobDigest } from "../../formats/oci/digest.ts";
import { parseImageIndex, REF_NAME } from "../../formats/oci/image-index.ts";
import { parseManifest } from "../../formats/oci/manifest.ts";
import { isIndexMediaType } from "../../formats/oci/media-types.ts";
import { parseReference } from "../../formats/oci/reference.ts";
import { type Referrer, toReferrer } from "../../formats/oci/referrers.ts";
import { NotFoundError, UnsupportedError, UsageError } from "../../lib/errors.ts";
import { openArchiveSink } from "./archive-sink.ts";
import { type NewBlob, streamBytes } from "./blob.ts";
import { openContainersStorageSink } from "./containers-storage.ts";
import { hostPlatform } from "./host-platform.ts";
import type { Blob, Image } from "./image.ts";
import type { ImageSink, ImageWriterOptions, Publication } from "./image-sink.ts";
import { openLayoutSink } from "./layout-sink.ts";
import { RegistrySink } from "./registry-sink.ts";
import { completeImage, type ImageSource } from "./source.ts";

export interface NewManifest {
  readonly manifestBytes: Uint8Array;
  /** OCI or Docker schema 2; of an index to `commit` several images as one. */
  readonly mediaType: string;
  /** Of the entry in the index, not of the manifest. */
  readonly annotations?: Readonly<Record<string, string>>;
  /** Instead of the one in the reference. */
  readonly tag?: string;
}

/**
 * Writes one image. Nothing can be seen of it before `commit`, and nothing stays of it when the writer is disposed
 * without one.
 */
export interface ImageWriter extends AsyncDisposable {
  has(digest: BlobDigest): Promise<boolean>;
  /**
   * Stores a stream.
   *
   * @throws {VerificationError} `image.blob.digest-mismatch`, `image.blob.size-mismatch`
   * @throws {InputOutputError} `output.no-space`, `output.unwritable`
   */
  putBlob(blob: NewBlob, content: AsyncIterable<Uint8Array>): Promise<Descriptor>;
  putBytes(bytes: Uint8Array, mediaType: string): Promise<Descriptor>;
  /** Stores a blob of another image as it is, and checks it on the way. Takes no space where files can share it. */
  copyBlob(blob: Blob): Promise<Descriptor>;
  /**
   * Opens the image that a manifest makes of what was stored, before anybody else can: to check it.
   *
   * @throws {NotFoundError} `image.blob.missing` when the manifest names what was not stored
   */
  read(manifest: NewManifest): Promise<Image>;
  /**
   * @returns the descriptor of the manifest
   * @throws {NotFoundError} `image.blob.missing` when the manifest names what was not stored
   */
  commit(manifest: NewManifest): Promise<Descriptor>;
  /**
   * Stores a manifest with a subject, or with a tag of its own, that is shown together with what `commit` shows.
   *
   * @returns the descriptor of the manifest
   * @throws {NotFoundError} `image.blob.missing`
   */
  attach(manifest: NewManifest): Promise<Descriptor>;
  /** Shows what was attached, to a manifest that is there already. */
  commitAttached(): Promise<void>;
}

/**
 * Opens `oci:DIR[:TAG]`, a new layout or one to add an image to, `oci-archive:FILE[:TAG]`, a repository
 * of a registry, or `containers-storage:NAME`.
 *
 * @throws {UsageError} `reference.*`, `image.reference.not-writable`
 * @throws {UnsupportedError} `image.transport.unsupported`
 * @throws {InputOutputError} `output.exists`, `output.unwritable`
 */
export async function openImageWriter(text: string, options: ImageWriterOptions = {}): Promise<ImageWriter> {
  const reference = parseReference(text);
  switch (reference.transport) {
    case "oci":
    case "oci-archive": {
      const { path, select, transport } = reference;
      if (select !== undefined && select.by !== "tag") throw notWritable(text);
      const sink = await (transport === "oci" ? openLayoutSink : openArchiveSink)(path, options);
      return completeWriter(sink, text, select?.tag);
    }
    case "docker": {
      if (reference.digest !== undefined) throw notWritable(text);
      if (options.registries === undefined) break;
      const repository = await options.registries.writer(reference, options.signal);
      return completeWriter(new RegistrySink(repository, options), text, reference.tag);
    }
    case "containers-storage":
      return completeWriter(await openContainersStorageSink(reference.name, text, options), text);
    default:
  }
  throw new UnsupportedError(
    "image.transport.unsupported",
    `${text}: images are written to registries, oci:, oci-archive: and containers-storage:`,
    { data: { transport: reference.transport } },
  );
}

function notWritable(text: string): UsageError {
  return new UsageError("image.reference.not-writable", `${text}: an image to write is named by a tag`);
}

/** What a sink holds so far, as a place to read one image from. */
function sinkSource(sink: ImageSink, name: string, manifest: Descriptor): ImageSource {
  return {
    name,
    candidates: () => Promise.resolve([manifest]),
    referrers: () => Promise.resolve([]),
    tagged: () => Promise.resolve(undefined),
    async blob(descriptor, what) {
      const blob = await sink.find(descriptor, what);
      if (blob !== undefined) return blob;
      throw new NotFoundError("image.blob.missing", `${what}: ${descriptor.digest} was not written`, {
        data: { digest: descriptor.digest },
      });
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

export function completeWriter(sink: ImageSink, name: string, defaultTag?: string): ImageWriter {
  /** Registries show a manifest with a subject as soon as they have it, so these wait. */
  const waiting: NewManifest[] = [];
  const putBytes = (bytes: Uint8Array, mediaType: string): Promise<Descriptor> =>
    sink.put({ mediaType, digest: toBlobDigest(bytes), size: bytes.length }, streamBytes(bytes));
  const requireReferenced = async ({ manifestBytes, mediaType }: NewManifest): Promise<void> => {
    for (const { digest } of referencedBy(manifestBytes, mediaType, name)) {
      if (await sink.has(digest)) continue;
      throw new NotFoundError("image.blob.missing", `${name}: ${digest} was not written`, { data: { digest } });
    }
  };
  const storeAttached = async (): Promise<Publication> => {
    const entries: Descriptor[] = [];
    const referrers: Referrer[] = [];
    for (const { annotations, manifestBytes, mediaType, tag } of waiting) {
      const descriptor = await putBytes(manifestBytes, mediaType);
      const referrer = toReferrer(manifestBytes, descriptor);
      if (referrer !== undefined) referrers.push(referrer);
      if (tag !== undefined) entries.push(withTag(descriptor, tag, annotations));
    }
    return { entries, referrers };
  };
  return {
    has: (digest) => sink.has(digest),
    putBlob: (blob, content) => sink.put(blob, content),
    putBytes,
    copyBlob: (blob) => sink.copy(blob),
    async read({ manifestBytes, mediaType }) {
      const descriptor = await putBytes(manifestBytes, mediaType);
      return await completeImage(sinkSource(sink, name, descriptor), {
        platform: hostPlatform(),
        platformRequired: false,
      });
    },
    async commit(manifest) {
      await requireReferenced(manifest);
      const descriptor = await putBytes(manifest.manifestBytes, manifest.mediaType);
      const { entries, referrers } = await storeAttached();
      const entry = withTag(descriptor, manifest.tag ?? defaultTag, manifest.annotations);
      await sink.publish({ referrers, entries: [...entries, entry] });
      return descriptor;
    },
    async attach(manifest) {
      await requireReferenced(manifest);
      waiting.push(manifest);
      const { manifestBytes, mediaType } = manifest;
      return { mediaType, digest: toBlobDigest(manifestBytes), size: manifestBytes.length };
    },
    commitAttached: async () => await sink.publish(await storeAttached()),
    [Symbol.asyncDispose]: () => sink[Symbol.asyncDispose](),
  };
}

function withTag(
  descriptor: Descriptor,
  tag: string | undefined,
  annotations: Readonly<Record<string, string>> | undefined,
): Descriptor {
  const notes = { ...annotations, ...(tag === undefined ? {} : { [REF_NAME]: tag }) };
  return Object.keys(notes).length === 0 ? descriptor : { ...descriptor, annotations: notes };
}

/** What has to be there before a manifest or an index is shown. */
function referencedBy(bytes: Uint8Array, mediaType: string, name: string): readonly Descriptor[] {
  if (isIndexMediaType(mediaType)) return parseImageIndex(bytes, `${name}: image index`).manifests;
  const { config, layers } = parseManifest(bytes, `${name}: manifest`);
  return [config, ...layers];
}
