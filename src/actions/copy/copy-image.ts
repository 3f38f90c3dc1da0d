/** Copies an image, or all images of an index, between any two places, byte for byte. */
import { type Descriptor, isManifestMediaType, parsePlatform } from "../../formats/oci/index.ts";
import { type Progress, silent } from "../../lib/progress.ts";
import { copyBlobs } from "../../model/image/copy-blobs.ts";
import { type CopyPlan, type PlannedManifest, planCopy } from "../../model/image/copy-plan.ts";
import { hostPlatform } from "../../model/image/host-platform.ts";
import { type ImageWriter, openImageWriter } from "../../model/image/image-writer.ts";
import { openImageSource } from "../../model/image/open-image.ts";
import { chooseCandidate, resolveIndexes } from "../../model/image/source.ts";
import type { Registries } from "../../model/registry/index.ts";

export interface CopyOptions {
  /** Every image of an index, and the index. */
  readonly all?: boolean;
  /** Also what is said about the image: signatures, attestations, SBOMs. */
  readonly referrers?: boolean;
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
  /** Manifests about those, where they were to be copied. */
  readonly referrers: number;
  readonly blobs: { readonly count: number; readonly size: number };
  /** Bytes of blobs that had to be read; the rest was there, was mounted, or shares its place with the source. */
  readonly moved: number;
}

/** @throws whatever opening the source and the writer throw; `image.blob.*` where a source is not what it says */
export async function copyImage(from: string, to: string, options: CopyOptions = {}): Promise<CopyReport> {
  const {
    all = false,
    overwrite = false,
    platform,
    progress = silent,
    referrers = false,
    registries,
    signal,
  } = options;
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

  const plan = await planCopy(source, top, { referrers });
  const blobs = [...plan.blobs.values()];
  const size = blobs.reduce((sum, blob) => sum + blob.size, 0);
  let done = 0;
  const onProgress = (bytes: number): void => {
    done += bytes;
    progress({ step: "copy.blobs", text: `copying ${blobs.length} blobs`, done, total: size, unit: "bytes" });
  };
  const moved = await copyBlobs(writer, blobs, { signal, onProgress });
  const { digest } = await publish(writer, plan);
  return {
    source: from,
    destination: to,
    manifestDigest: digest,
    mediaType: top.mediaType,
    images: plan.manifests.filter(({ mediaType }) => isManifestMediaType(mediaType)).length,
    referrers: plan.attached.length,
    blobs: { count: blobs.length, size },
    moved,
  };
}

/** The last manifest is the one that gets the name. */
async function publish(writer: ImageWriter, { attached, manifests }: CopyPlan): Promise<Descriptor> {
  for (const { bytes, mediaType } of manifests.slice(0, -1)) await writer.putBytes(bytes, mediaType);
  const { bytes, mediaType } = manifests.at(-1) as PlannedManifest;
  for (const { bytes: manifestBytes, tag, ...planned } of attached) {
    await writer.attach({ manifestBytes, mediaType: planned.mediaType, ...(tag !== undefined && { tag }) });
  }
  return await writer.commit({ manifestBytes: bytes, mediaType });
}
