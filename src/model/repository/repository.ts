import type { ComposefsVersion } from "../../formats/erofs/index.ts";
import type { VerityAlgorithm } from "../../formats/fsverity/index.ts";
import { CONTENT_TYPES, type SplitStreamRefs, SplitStreamWriter } from "../../formats/splitstream/index.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import type { Image } from "../image/image.ts";
import type { LayerRecord } from "../layer/entry.ts";
import type { ExternalContent } from "../tree/tree.ts";
import type { LayerStream } from "./layer-stream.ts";
import { BOOT_IMAGE_REF, configRef, contentId, deploymentTag } from "./layout.ts";
import { LayerObject, memoryObject, type RepositoryObject } from "./object.ts";

/** What a repository holds, to be written in any way. */
export interface Repository {
  /** By digest in hex. */
  readonly objects: ReadonlyMap<string, RepositoryObject>;
  /** Digests of EROFS images. */
  readonly images: readonly string[];
  /** Digests of split streams, by content id. */
  readonly streams: ReadonlyMap<string, string>;
  /** Content ids of manifests, by tag. */
  readonly tags: ReadonlyMap<string, string>;
}

/** Gathers what a repository must hold so that composefs-rs finds an image complete. */
export class RepositoryBuilder implements Repository {
  readonly #algorithm: VerityAlgorithm;
  readonly objects = new Map<string, RepositoryObject>();
  readonly images: string[] = [];
  readonly streams = new Map<string, string>();
  readonly tags = new Map<string, string>();

  constructor(algorithm: VerityAlgorithm) {
    this.#algorithm = algorithm;
  }

  /** Every content of the layers is an object, also those that the merged tree does not show. */
  addContents(records: readonly LayerRecord[]): void {
    for (const { entries } of records) {
      for (const entry of entries) {
        if (entry.kind === "file" && entry.content.kind === "external") this.#addContent(entry.content);
      }
    }
  }

  /** @returns its digest in hex */
  addImage(erofs: Uint8Array): string {
    const hex = this.#addBytes(erofs);
    this.images.push(hex);
    return hex;
  }

  /**
   * The streams of an image's layers, config and manifest, and the tag that keeps them.
   *
   * @param streams one for each layer
   * @param boot the EROFS image that a host boots, in hex
   * @see composefs specification, section 8.4
   */
  async addOciImage(
    image: Image,
    streams: readonly LayerStream[],
    boot: { readonly hex: string; readonly version: ComposefsVersion },
  ): Promise<void> {
    const layers = new Map<string, Uint8Array>();
    for (const [index, { diffId }] of image.layers.entries()) {
      if (layers.has(diffId)) continue;
      const bytes = await (streams[index] as LayerStream).finish();
      layers.set(diffId, this.#addStream(contentId.layer(diffId), bytes));
    }
    const configDigest = image.manifest.config.digest;
    const config = await this.#documentStream(CONTENT_TYPES.config, image.configBytes, [
      ...layers,
      [BOOT_IMAGE_REF[boot.version], fromDigest(boot.hex)],
    ]);
    const manifest = await this.#documentStream(CONTENT_TYPES.manifest, image.manifestBytes, [
      [configRef(configDigest), this.#addStream(contentId.config(configDigest), config)],
      ...layers,
    ]);
    const id = contentId.manifest(image.manifestDigest);
    this.#addStream(id, manifest);
    this.tags.set(deploymentTag(image.manifestDigest), id);
  }

  /** The content as an object of this repository. */
  objectOf({ digests }: ExternalContent): RepositoryObject | undefined {
    const digest = digests[this.#algorithm];
    return digest === undefined ? undefined : this.objects.get(toHex(digest));
  }

  #addContent({ digests, origin, size }: ExternalContent): void {
    const digest = digests[this.#algorithm];
    if (digest === undefined || origin?.kind !== "layer") throw new Error("a content that is in no layer");
    const hex = toHex(digest);
    if (this.objects.has(hex)) return;
    this.objects.set(hex, new LayerObject(hex, { ...origin, size: Number(size) }, this.#algorithm));
  }

  #addBytes(bytes: Uint8Array): string {
    const object = memoryObject(bytes, this.#algorithm);
    this.objects.set(object.hex, object);
    return object.hex;
  }

  #addStream(id: string, bytes: Uint8Array): Uint8Array {
    const hex = this.#addBytes(bytes);
    this.streams.set(id, hex);
    return fromDigest(hex);
  }

  /** The JSON of a document is one object, byte for byte. */
  async #documentStream(
    contentType: string,
    json: Uint8Array,
    refs: readonly (readonly [name: string, digest: Uint8Array])[],
  ): Promise<Uint8Array> {
    const writer = new SplitStreamWriter(contentType, this.#algorithm);
    writer.external(fromDigest(this.#addBytes(json)), json.length);
    const named: SplitStreamRefs = new Map(refs);
    return await writer.finish(named);
  }
}

const fromDigest = (hex: string): Uint8Array => Buffer.from(hex, "hex");
