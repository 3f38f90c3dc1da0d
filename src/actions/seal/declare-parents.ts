/**
 * Layers that leave out parent directories, written anew with these in front.
 *
 *     directories that were missing | the tar as it was, byte for byte
 *
 * Nothing above such a layer can mend it: composefs-rs refuses it before it reads the next one. Engines that unpack
 * the layer instead make the directories up, with the time of day.
 */
import { createHash } from "node:crypto";
import { layerMediaType, parseBlobDigest } from "../../formats/oci/index.ts";
import { encodeTarEntry } from "../../formats/tar/index.ts";
import type { ByteString } from "../../lib/bytes/byte-string.ts";
import { decompress } from "../../lib/streams/decompress.ts";
import { verifyDigest } from "../../lib/streams/verify-digest.ts";
import type { Image, Layer } from "../../model/image/image.ts";
import { NO_XATTRS } from "../../model/tree/tree.ts";

export interface MissingParent {
  /** Relative to the root. */
  readonly path: ByteString;
  /** Index of the first layer that has entries in it. */
  readonly layer: number;
}

/** A layer that was written anew. */
export interface MendedLayer {
  readonly index: number;
  /** Digest of the layer as it was. */
  readonly was: string;
  readonly digest: string;
  /** Bytes; it is a plain tar. */
  readonly size: number;
  readonly directories: readonly string[];
}

/**
 * The image with its missing parents declared: mode 0755, owner 0:0, as old as `/usr` in whole seconds.
 *
 * @param mtimeSec of `/usr`
 * @throws {VerificationError} `blob.*` when a layer is not what it says
 */
export async function declareParents(
  image: Image,
  missing: readonly MissingParent[],
  mtimeSec: bigint,
): Promise<{ readonly layers: readonly Layer[]; readonly mended: readonly MendedLayer[] }> {
  const layers: Layer[] = [];
  const mended: MendedLayer[] = [];
  for (const layer of image.layers) {
    const paths = missing.filter((each) => each.layer === layer.index).map(({ path }) => path);
    if (paths.length === 0) {
      layers.push(layer);
      continue;
    }
    const head = Buffer.concat(paths.map((path) => encodeDirectory(path, mtimeSec)));
    const anew = await putInFront(head, layer, layerMediaType(image.manifestMediaType, "none"));
    layers.push(anew);
    mended.push({
      index: layer.index,
      was: layer.digest,
      digest: anew.digest,
      size: anew.size,
      directories: paths.map((path) => `/${path}`),
    });
  }
  return { layers, mended };
}

function encodeDirectory(path: ByteString, mtimeSec: bigint): Uint8Array {
  const meta = { mode: 0o755, uid: 0, gid: 0, mtimeSec, mtimeNsec: 0, xattrs: NO_XATTRS };
  return encodeTarEntry({ kind: "directory", path: `${path}/` as ByteString, ...meta });
}

/** A plain tar: its bytes then depend on no compressor. */
async function putInFront(head: Uint8Array, layer: Layer, mediaType: string): Promise<Layer> {
  async function* open(): AsyncGenerator<Uint8Array, void, void> {
    yield head;
    yield* decompress(verifyDigest(layer.open(), layer.digest, layer.size), layer.compression);
  }
  const hash = createHash("sha256");
  let size = 0;
  for await (const chunk of open()) {
    hash.update(chunk);
    size += chunk.length;
  }
  const digest = parseBlobDigest(`sha256:${hash.digest("hex")}`, "layer");
  const { createdBy, index } = layer;
  return {
    index,
    mediaType,
    compression: "none",
    digest,
    diffId: digest,
    size,
    ...(createdBy === undefined ? {} : { createdBy }),
    open,
  };
}
