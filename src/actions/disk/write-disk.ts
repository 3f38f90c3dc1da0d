/** From a plan to a file in some format, whole or not at all. */
import type { VerityAlgorithm } from "../../formats/fsverity/index.ts";
import { encodeVhdFooter } from "../../formats/vhd/index.ts";
import { type ContentPiece, isBytesPiece } from "../../lib/bytes/piece.ts";
import type { WorkerPool } from "../../lib/hash/worker-pool.ts";
import { silent } from "../../lib/progress.ts";
import type { DiskContent } from "../../model/disk/content.ts";
import { type OutputFile, openOutputFile } from "../../model/host-io/files.ts";
import type { Layer } from "../../model/image/image.ts";
import type { LayerObject } from "../../model/repository/index.ts";
import { convertDisk } from "./convert.ts";
import { type Extent, ExtentList } from "./extents.ts";
import type { DiskOptions } from "./options.ts";
import type { DiskPlan } from "./plan.ts";
import { type Places, writeLayerObjects } from "./write-layers.ts";

export interface WriteDiskOptions extends DiskOptions {
  readonly layers: readonly Layer[];
  readonly algorithm: VerityAlgorithm;
  readonly pool: WorkerPool;
}

/** Any format but raw is made from a raw file beside it, which is gone afterwards. */
export async function writeDisk(plan: DiskPlan, options: WriteDiskOptions): Promise<{ readonly size: number }> {
  const { format = "raw", output, overwrite = false, progress = silent, signal } = options;
  const limits = { overwrite, ...(signal && { signal }) };
  await using raw = await openOutputFile(output, limits);
  const extents = await writeRaw(plan, raw, options);
  if (format === "raw" || format === "vhd") {
    if (format === "vhd") await raw.write(encodeVhdFooter(plan.size, { uniqueId: plan.id, time: plan.time }));
    await raw.commit();
    return { size: raw.size };
  }
  await using file = await openOutputFile(output, limits);
  progress({ step: "disk.convert", text: `converting to ${format}` });
  await convertDisk({ path: raw.temporaryPath, size: plan.size, extents, time: plan.time, id: plan.id }, file, format);
  await file.commit();
  return { size: file.size };
}

/**
 * Contents of layers first, since Merkle trees and descriptors follow from them; then everything that is held or made.
 */
async function writeRaw(plan: DiskPlan, raw: OutputFile, options: WriteDiskOptions): Promise<readonly Extent[]> {
  const { algorithm, layers, pool, progress, signal } = options;
  await raw.truncate(plan.size);
  const { objects, trees } = findPlaces(plan);
  await writeLayerObjects(layers, objects.keys(), {
    algorithm,
    pool,
    placesOf: (object) => objects.get(object) ?? [],
    treePlacesOf: (object) => trees.get(object) ?? [],
    write: (offset, bytes) => raw.replace(offset, bytes),
    signal,
    progress,
  });
  const list = new ExtentList();
  for (const piece of plan.pieces()) {
    if (isBytesPiece(piece)) await raw.replace(piece.offset, piece.bytes);
    else if (piece.content instanceof Uint8Array) {
      await raw.replace(piece.offset, piece.content.subarray(piece.from, piece.from + piece.size));
    }
    list.add(piece.offset, isBytesPiece(piece) ? piece.bytes.length : piece.size);
  }
  return list.extents;
}

function findPlaces(plan: DiskPlan): Readonly<Record<"objects" | "trees", Map<LayerObject, Places>>> {
  const objects = new Map<LayerObject, ContentPiece<DiskContent>[]>();
  const trees = new Map<LayerObject, ContentPiece<DiskContent>[]>();
  for (const piece of plan.pieces()) {
    if (isBytesPiece(piece) || piece.content instanceof Uint8Array) continue;
    const [map, object] = "treeOf" in piece.content ? [trees, piece.content.treeOf] : [objects, piece.content];
    const places = map.get(object);
    if (places === undefined) map.set(object, [piece]);
    else places.push(piece);
  }
  return { objects, trees };
}
