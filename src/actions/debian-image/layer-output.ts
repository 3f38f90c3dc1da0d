import { createHash } from "node:crypto";
import { once } from "node:events";
import { constants, createZstdCompress } from "node:zlib";
import { type BlobDigest, type Descriptor, MEDIA_TYPE, parseBlobDigest } from "../../formats/oci/index.ts";
import type { ImageWriter } from "../../model/image/image-writer.ts";
import type { LayerRule } from "./layers.ts";

export interface StoredLayer {
  readonly rule: LayerRule;
  readonly descriptor: Descriptor;
  /** Digest and size of the uncompressed tar. */
  readonly diffId: BlobDigest;
  readonly size: number;
}

export interface LayerOutput {
  /** Waits while the compressor is behind. */
  write(bytes: Uint8Array): Promise<void>;
  end(): Promise<StoredLayer>;
  /** Gives the layer up. */
  destroy(): void;
}

/** 240 MB of Debian: level 3 gives 159 MB in 0.9 s, level 9 gives 155 MB in 2.4 s, gzip 165 MB in 4.8 s. */
const ZSTD_LEVEL = 9;

/** Opens a layer that is compressed and stored while it is written. */
export function openLayerOutput(writer: ImageWriter, rule: LayerRule): LayerOutput {
  const compressor = createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL } });
  const hash = createHash("sha256");
  let size = 0;
  const stored = writer.putBlob({ mediaType: MEDIA_TYPE.layerZstd }, compressor);
  // A layer that cannot be stored must not leave its writer waiting; `end` tells the error.
  stored.catch((error: Error) => compressor.destroy(error));
  compressor.on("error", () => {});
  return {
    async write(bytes) {
      hash.update(bytes);
      size += bytes.length;
      if (compressor.destroyed) await stored;
      if (!compressor.write(bytes)) await once(compressor, "drain");
    },
    async end() {
      compressor.end();
      const descriptor = await stored;
      const diffId = parseBlobDigest(`sha256:${hash.digest("hex")}`, "diff ID");
      return { rule, descriptor, diffId, size };
    },
    destroy() {
      compressor.destroy();
    },
  };
}
