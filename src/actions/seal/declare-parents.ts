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
import type { LayerEntry, LayerRecord } from "../../model/layer/entry.ts";
import { type Metadata, NO_XATTRS } from "../../model/tree/tree.ts";

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
 * @param records what its layers say
 * @param mtimeSec of `/usr`
 * @throws {VerificationError} `blob.*` when a layer is not what it says
 */
export async function declareParents(
  image: Image,
  records: readonly LayerRecord[],
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
    const invented = { mode: 0o755, uid: 0, gid: 0, mtimeSec, mtimeNsec: 0, xattrs: NO_XATTRS };
    const directories = new Map<ByteString, Metadata>([
      ...ownParents(records[layer.index]?.entries ?? [], paths),
      ...paths.map((path) => [path, invented] as const),
    ]);
    const inOrder = [...directories].sort(([a], [b]) => (a < b ? -1 : 1));
    const head = Buffer.concat(
      inOrder.map(([path, meta]) => encodeTarEntry({ kind: "directory", ...meta, path: `${path}/` as ByteString })),
    );
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

/**
 * Directories above the missing ones that the layer declares itself: the head of the layer comes before that. As they
 * are declared once more behind it, they may stand there whether or not a layer below has them.
 */
function ownParents(entries: readonly LayerEntry[], missing: readonly ByteString[]): Map<ByteString, Metadata> {
  const above = new Set(
    missing.flatMap((path) => path.split("/").map((_, depth, names) => names.slice(0, depth).join("/"))),
  );
  const own = new Map<ByteString, Metadata>();
  for (const { kind, meta, path } of entries) {
    const canonical = path
      .split("/")
      .filter((name) => name !== "" && name !== ".")
      .join("/") as ByteString;
    if (kind === "directory" && above.has(canonical)) own.set(canonical, meta);
  }
  return own;
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
