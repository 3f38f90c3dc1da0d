/** Copies an image, or all images of an index, between any two places, byte for byte. */
import {
  type Descriptor,
  isIndexMediaType,
  isManifestMediaType,
  parseImageIndex,
  parseManifest,
  parsePlatform,
} from "../../formats/oci/index.ts";
import { FormatError, quote, UnsupportedError } from "../../lib/errors.ts";
import { type Progress, silent } from "../../lib/progress.ts";
import { copyBlobs } from "../../model/image/copy-blobs.ts";
import { hostPlatform } from "../../model/image/host-platform.ts";
import type { Blob } from "../../model/image/image.ts";
import { type ImageWriter, openImageWriter } from "../../model/image/image-writer.ts";
import { openImageSource } from "../../model/image/open-image.ts";
import {
  chooseCandidate,
  type ImageSource,
  loadManifest,
  MAX_INDEX_DEPTH,
  resolveIndexes,
} from "../../model/image/source.ts";
import type { Registries } from "../../model/registry/index.ts";

export interface CopyOptions {
  /** Every image of an index, and the index. */
  readonly all?: boolean;
  readonly platform?: string | undefined;
  /** Replace an archive that is there already. */
  readonly overwrite?: boolean;
  readonly registries?: Registries | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly progress?: Progress | undefined;
}

export interface CopyReport {
  readonly source: string;
  readonly destination: string;
  readonly manifestDigest: string;
  readonly mediaType: string;
  /** Manifests, without the index. */
  readonly images: number;
  readonly blobs: { readonly count: number; readonly size: number };
  /** Bytes of blobs that had to be read; the rest was there, was mounted, or shares its place with the source. */
  readonly moved: number;
}

/** @throws whatever opening the source and the writer throw; `image.blob.*` where a source is not what it says */
export async function copyImage(from: string, to: string, options: CopyOptions = {}): Promise<CopyReport> {
  const { all = false, overwrite = false, platform, progress = silent, registries, signal } = options;
  const opening = { registries, ...(signal && { signal }) };
  await using source = await openImageSource(from, opening);
  await using writer = await openImageWriter(to, { overwrite, ...opening });
  const wanted = {
    platform: platform === undefined ? hostPlatform() : parsePlatform(platform),
    platformRequired: platform !== undefined,
    ...(signal && { signal }),
  };
  const candidate = await chooseCandidate(source, wanted);
  const top = all ? candidate : await resolveIndexes(source, candidate, wanted);

  const plan = await planCopy(source, top);
  const blobs = [...plan.blobs.values()];
  const size = blobs.reduce((sum, blob) => sum + blob.size, 0);
  let done = 0;
  const onProgress = (bytes: number): void => {
    done += bytes;
    progress({ step: "copy.blobs", text: `copying ${blobs.length} blobs`, done, total: size, unit: "bytes" });
  };
  const moved = await copyBlobs(writer, blobs, { signal, onProgress });
  const { digest } = await publish(writer, plan.manifests);
  return {
    source: from,
    destination: to,
    manifestDigest: digest,
    mediaType: top.mediaType,
    images: plan.manifests.filter(({ mediaType }) => isManifestMediaType(mediaType)).length,
    blobs: { count: blobs.length, size },
    moved,
  };
}

interface PlannedManifest {
  readonly mediaType: string;
  readonly bytes: Uint8Array;
}

interface CopyPlan {
  /** What is referred to stands before what refers to it. */
  readonly manifests: readonly PlannedManifest[];
  readonly blobs: ReadonlyMap<string, Blob>;
}

/** Reads the manifests below `top`, each digest once. */
async function planCopy(source: ImageSource, top: Descriptor): Promise<CopyPlan> {
  const manifests = new Map<string, PlannedManifest>();
  const blobs = new Map<string, Blob>();
  const visit = async (descriptor: Descriptor, depth: number): Promise<void> => {
    const { digest, mediaType } = descriptor;
    if (manifests.has(digest)) return;
    const bytes = await loadManifest(source, descriptor);
    if (isIndexMediaType(mediaType)) {
      const what = `${source.name}: image index`;
      if (depth === MAX_INDEX_DEPTH) {
        throw new FormatError("oci.index.too-deep", {
          what,
          expected: `at most ${depth} levels`,
          found: "another one",
        });
      }
      for (const each of parseImageIndex(bytes, what).manifests) await visit(each, depth + 1);
    } else if (isManifestMediaType(mediaType)) {
      const manifest = parseManifest(bytes, `${source.name}: manifest`);
      for (const blob of [manifest.config, ...manifest.layers]) {
        blobs.set(blob.digest, await source.blob(blob, `${source.name}: ${blob.digest}`));
      }
    } else {
      throw new UnsupportedError(
        "oci.manifest.media-type-unsupported",
        `${source.name}: media type ${quote(mediaType)} is no manifest or index of OCI or Docker schema 2`,
        { data: { mediaType } },
      );
    }
    manifests.set(digest, { mediaType, bytes });
  };
  await visit(top, 0);
  return { manifests: [...manifests.values()], blobs };
}

/** The last manifest is the one that gets the name. */
async function publish(writer: ImageWriter, manifests: readonly PlannedManifest[]): Promise<Descriptor> {
  for (const { bytes, mediaType } of manifests.slice(0, -1)) await writer.putBytes(bytes, mediaType);
  const { bytes, mediaType } = manifests.at(-1) as PlannedManifest;
  return await writer.commit({ manifestBytes: bytes, mediaType });
}
