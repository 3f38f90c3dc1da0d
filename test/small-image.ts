/** Images of a few kilobytes for tests, made with our writer. */
import { gzipSync, zstdCompressSync } from "node:zlib";
import {
  type BlobDigest,
  type Compression,
  type Descriptor,
  encodeImageConfig,
  encodeManifest,
  layerMediaType,
  MEDIA_TYPE,
  toBlobDigest,
} from "../src/formats/oci/index.ts";
import { encodeTarEntry, TAR_END, tarPadding } from "../src/formats/tar/index.ts";
import { byteString } from "../src/lib/bytes/byte-string.ts";
import { type ImageWriter, openImageWriter } from "../src/model/image/image-writer.ts";

/** A plain tar with one file an entry. */
export function smallTar(files: Readonly<Record<string, string>>): Uint8Array {
  const parts = Object.entries(files).flatMap(([name, text]) => {
    const meta = { mode: 0o644, uid: 0, gid: 0, mtimeSec: 1_700_000_000n, mtimeNsec: 0, xattrs: new Map() };
    const content = Buffer.from(text);
    const header = encodeTarEntry({ ...meta, path: byteString(name), kind: "file", size: content.length });
    return [header, content, tarPadding(content.length)];
  });
  return Buffer.concat([...parts, TAR_END]);
}

export function compress(bytes: Uint8Array, compression: Compression): Uint8Array {
  return { none: () => bytes, gzip: () => gzipSync(bytes), zstd: () => zstdCompressSync(bytes) }[compression]();
}

export interface SmallImage {
  readonly layers?: readonly (readonly [files: Readonly<Record<string, string>>, compression: Compression])[];
  readonly architecture?: string;
  readonly family?: "oci" | "docker";
}

export interface WrittenImage {
  readonly manifest: Descriptor;
  readonly manifestBytes: Uint8Array;
  readonly diffIds: readonly BlobDigest[];
}

export const twoLayers: NonNullable<SmallImage["layers"]> = [
  [{ "etc-release": "one", shared: "x".repeat(3000) }, "gzip"],
  [{ "usr-two": "two" }, "none"],
];

export async function writeSmallImage(reference: string, image: SmallImage = {}): Promise<WrittenImage> {
  await using writer = await openImageWriter(reference);
  return await putSmallImage(writer, image);
}

export async function putSmallImage(writer: ImageWriter, image: SmallImage = {}): Promise<WrittenImage> {
  const { layers = twoLayers, architecture = "amd64", family = "oci" } = image;
  const mediaType = family === "oci" ? MEDIA_TYPE.manifest : MEDIA_TYPE.dockerManifest;
  const diffIds: BlobDigest[] = [];
  const descriptors: Descriptor[] = [];
  for (const [files, compression] of layers) {
    const tar = smallTar(files);
    diffIds.push(toBlobDigest(tar));
    descriptors.push(await writer.putBytes(compress(tar, compression), layerMediaType(mediaType, compression)));
  }
  const config = encodeImageConfig({
    architecture,
    os: "linux",
    config: { Labels: { "containers.bootc": "1" } },
    rootfs: { type: "layers", diff_ids: diffIds },
    history: diffIds.map((_, index) => ({ created_by: `COPY layer ${index}` })),
  });
  const configType = family === "oci" ? MEDIA_TYPE.config : MEDIA_TYPE.dockerConfig;
  const manifestBytes = encodeManifest({
    schemaVersion: 2,
    mediaType,
    config: await writer.putBytes(config, configType),
    layers: descriptors,
  });
  return { manifest: await writer.commit({ manifestBytes, mediaType }), manifestBytes, diffIds };
}
