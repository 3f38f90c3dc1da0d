import { type ImageConfig, MAX_CONFIG_SIZE, parseImageConfig } from "../../formats/oci/config.ts";
import type { Descriptor } from "../../formats/oci/descriptor.ts";
import { type BlobDigest, isBlobDigest, toBlobDigest } from "../../formats/oci/digest.ts";
import {
  DOCKER_ARCHIVE_MANIFEST,
  type DockerArchiveImage,
  parseDockerArchiveManifest,
} from "../../formats/oci/docker-archive.ts";
import { MAX_MANIFEST_SIZE } from "../../formats/oci/image-index.ts";
import { encodeManifest } from "../../formats/oci/manifest.ts";
import { type Compression, layerMediaType, MEDIA_TYPE } from "../../formats/oci/media-types.ts";
import type { ImageSelector } from "../../formats/oci/reference.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { FormatError, NotFoundError, quote, UsageError } from "../../lib/errors.ts";
import { streamFile } from "../host-io/files.ts";
import { digestMismatch, fileBlob, memoryBlob, readBlob } from "./blob.ts";
import { type FileStore, loadRange } from "./file-store.ts";
import type { Blob, FileRange } from "./image.ts";
import { tagNotFound } from "./layout-source.ts";
import type { ImageSource } from "./source.ts";

/**
 * An image in an archive of `docker save` or `podman save --format docker-archive`, of any age: config and layers in
 * files that `manifest.json` names. There is no manifest of the registry kind, so one is made from what is there.
 *
 * A plain layer's blob digest is its diff ID. Layers stored with gzip or zstd are told by their first bytes; when
 * their name does not give the digest of the stored bytes, they are read once for it.
 *
 * @throws {FormatError} `oci.docker-archive.missing`, `oci.docker-archive.malformed`, `oci.config.*`
 * @throws {NotFoundError} `image.tag.not-found`, `image.blob.missing`
 * @throws {UsageError} `image.ambiguous`
 */
export async function openDockerArchiveSource(
  store: FileStore,
  name: string,
  select?: ImageSelector,
): Promise<ImageSource> {
  const image = selectImage(await loadImages(store, name), select, name);
  const blobs = new Map<BlobDigest, Blob>();
  const keep = (blob: Blob): Descriptor => {
    blobs.set(blob.digest, blob);
    return { mediaType: blob.mediaType, digest: blob.digest, size: blob.size };
  };

  const configBytes = await loadConfig(store, image.Config, name);
  const config = parseImageConfig(configBytes, `${name}: image config`);
  const layers: Descriptor[] = [];
  for (const [index, member] of (image.Layers ?? []).entries()) {
    const what = `${name}: layer ${index}`;
    layers.push(
      keep(await layerBlob(await requireMember(store, member, what), member, diffIdAt(config, index, what), what)),
    );
  }
  const manifest = encodeManifest({
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.manifest,
    config: keep(memoryBlob(configBytes, MEDIA_TYPE.config)),
    layers,
  });
  const top = keep(memoryBlob(manifest, MEDIA_TYPE.manifest));
  return {
    name,
    candidates: () => Promise.resolve([top]),
    referrers: () => Promise.resolve([]),
    tagged: () => Promise.resolve(undefined),
    // Only descriptors of the manifest above are asked for.
    blob: ({ digest }) => Promise.resolve(blobs.get(digest) as Blob),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

async function loadImages(store: FileStore, name: string): Promise<readonly DockerArchiveImage[]> {
  const file = await store.find(DOCKER_ARCHIVE_MANIFEST);
  if (file === undefined) {
    throw new FormatError("oci.docker-archive.missing", {
      what: quote(store.path),
      expected: `an archive of docker save with ${quote(DOCKER_ARCHIVE_MANIFEST)}`,
      found: "none",
    });
  }
  const what = `${name}: ${DOCKER_ARCHIVE_MANIFEST}`;
  return parseDockerArchiveManifest(
    await loadRange(file, what, MAX_MANIFEST_SIZE, "oci.docker-archive.malformed"),
    what,
  );
}

function selectImage(
  images: readonly DockerArchiveImage[],
  select: ImageSelector | undefined,
  name: string,
): DockerArchiveImage {
  const selected = images.filter((image, position) => select === undefined || isSelected(image, position, select));
  const [image, ...more] = selected;
  const there = images.map(({ RepoTags }, position) => RepoTags?.[0] ?? `@${position}`);
  if (image === undefined) throw tagNotFound(name, select ?? { by: "position", position: 0 }, there);
  if (more.length === 0) return image;
  throw new UsageError("image.ambiguous", `${name}: ${selected.length} images, expected one`, {
    data: { images: there },
    hint: `name one of them after a colon: ${there.slice(0, 10).join(", ")}`,
  });
}

function isSelected({ RepoTags }: DockerArchiveImage, position: number, select: ImageSelector): boolean {
  switch (select.by) {
    case "tag":
      return RepoTags?.some((tag) => sameDockerName(tag, select.tag)) ?? false;
    case "position":
      return position === select.position;
    case "digest":
      return false; // the archive has no manifest, so no digest of one
    default:
      return select satisfies never;
  }
}

const sameDockerName = (a: string, b: string): boolean => shortDockerName(a) === shortDockerName(b);

/** Docker leaves out the host and the tag that it implies, Podman writes them. */
function shortDockerName(name: string): string {
  const short = name.replace(/^docker\.io\/(?:library\/)?/, "");
  return short.lastIndexOf(":") > short.lastIndexOf("/") ? short : `${short}:latest`;
}

/** The member is called after the SHA-256 of its bytes: `<hex>.json` or, since Docker 25, `blobs/sha256/<hex>`. */
async function loadConfig(store: FileStore, member: string, name: string): Promise<Uint8Array> {
  const what = `${name}: image config`;
  const file = await requireMember(store, member, what);
  const bytes = await loadRange(file, what, MAX_CONFIG_SIZE, "oci.config.malformed");
  const expected = `sha256:${/^(?:blobs\/sha256\/)?([0-9a-f]{64})(?:\.json)?$/.exec(member)?.[1] ?? ""}`;
  const found = toBlobDigest(bytes);
  if (isBlobDigest(expected) && found !== expected) throw digestMismatch(what, expected, found);
  return bytes;
}

const MAGIC: readonly (readonly [bytes: string, compression: Compression])[] = [
  ["1f8b", "gzip"],
  ["28b52ffd", "zstd"],
];

async function layerBlob(file: FileRange, member: string, diffId: BlobDigest, what: string): Promise<Blob> {
  const start = toHex(
    await loadRange({ ...file, size: Math.min(4, file.size) }, what, 4, "oci.docker-archive.malformed"),
  );
  const compression = MAGIC.find(([bytes]) => start.startsWith(bytes))?.[1] ?? "none";
  const mediaType = layerMediaType(MEDIA_TYPE.manifest, compression);
  const digest = compression === "none" ? diffId : await storedDigest(file, member, what);
  return fileBlob({ digest, mediaType, size: file.size }, file, what);
}

async function storedDigest(file: FileRange, member: string, what: string): Promise<BlobDigest> {
  const named = member.replace(/^blobs\/(sha256|sha512)\/([0-9a-f]+)$/, "$1:$2");
  if (isBlobDigest(named)) return named;
  return (await readBlob({ mediaType: "" }, streamFile(file.path, file.offset, file.size, what), what)).digest;
}

function diffIdAt(config: ImageConfig, index: number, what: string): BlobDigest {
  const diffId = config.rootfs.diff_ids?.[index];
  if (diffId !== undefined) return diffId;
  throw new FormatError("oci.config.diff-ids-mismatch", {
    what,
    expected: "a diff ID in the image config",
    found: "none",
  });
}

async function requireMember(store: FileStore, member: string, what: string): Promise<FileRange> {
  const file = await store.find(member);
  if (file !== undefined) return file;
  throw new NotFoundError("image.blob.missing", `${what}: ${quote(member)} is not in ${quote(store.path)}`, {
    data: { member },
  });
}
