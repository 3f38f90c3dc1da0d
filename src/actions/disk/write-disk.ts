/** From a plan to a file in some format, whole or not at all. */
import type { VerityAlgorithm } from "../../formats/fsverity/index.ts";
import { encodeVhdFooter } from "../../formats/vhd/index.ts";
import { isBytesPiece } from "../../lib/bytes/piece.ts";
import type { WorkerPool } from "../../lib/hash/worker-pool.ts";
import { type Progress, silent } from "../../lib/progress.ts";
import { type OutputFile, openOutputFile } from "../../model/host-io/files.ts";
import { throwIfInterrupted } from "../../model/host-io/interrupt.ts";
import type { Layer } from "../../model/image/image.ts";
import { convertDisk } from "./convert.ts";
import { type Extent, ExtentList } from "./extents.ts";
import { GatheringWriter } from "./gathering-writer.ts";
import type { DiskFormat } from "./options.ts";
import { PlaceList } from "./place-list.ts";
import type { DiskPlan } from "./plan.ts";
import { writeLayerObjects } from "./write-layers.ts";

export interface WriteDiskOptions {
  /** The file to write. */
  readonly output: string;
  readonly overwrite?: boolean;
  /** Permission bits of the file, before the umask. */
  readonly mode?: number;
  readonly format?: DiskFormat;
  readonly layers: readonly Layer[];
  readonly algorithm: VerityAlgorithm;
  readonly pool: WorkerPool;
  readonly signal?: AbortSignal | undefined;
  readonly progress?: Progress | undefined;
}

/** Any format but raw is made from a raw file beside it, which is gone afterwards. */
export async function writeDisk(plan: DiskPlan, options: WriteDiskOptions): Promise<{ readonly size: number }> {
  const { format = "raw", mode, output, overwrite = false, progress = silent, signal } = options;
  const limits = { overwrite, ...(mode !== undefined && { mode }), ...(signal && { signal }) };
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
 * Contents of layers first, since Merkle trees and descriptors follow from them; then everything that is held or made,
 * and what comes from another disk.
 */
async function writeRaw(plan: DiskPlan, raw: OutputFile, options: WriteDiskOptions): Promise<readonly Extent[]> {
  const { algorithm, layers, pool, progress = silent, signal } = options;
  await raw.truncate(plan.size);
  const { metadata, objects, storedSize } = findPlaces(plan);
  await writeLayerObjects(layers, objects.keys(), {
    algorithm,
    pool,
    placesOf: (object) => objects.get(object),
    verityPlacesOf: (object) => metadata.get(object),
    write: (offset, bytes) => raw.replace(offset, bytes),
    signal,
    progress,
  });
  const list = new ExtentList();
  const writer = new GatheringWriter(raw);
  let copied = 0;
  for (const piece of plan.pieces()) {
    if (isBytesPiece(piece)) {
      list.add(piece.offset, piece.bytes.length);
      await writer.put(piece.offset, piece.bytes);
    } else if (piece.content instanceof Uint8Array) {
      list.add(piece.offset, piece.size);
      await writer.put(piece.offset, piece.content.subarray(piece.from, piece.from + piece.size));
    } else if (piece.content.kind === "stored") {
      let { offset } = piece;
      for (const chunk of piece.content.read(piece.from, piece.size)) {
        throwIfInterrupted(signal);
        if (await writer.putUnlessZero(offset, chunk)) list.add(offset, chunk.length);
        offset += chunk.length;
      }
      copied += piece.size;
      progress({ step: "disk.copy", text: "copying what stays", done: copied, total: storedSize, unit: "bytes" });
    } else {
      list.add(piece.offset, piece.size);
    }
  }
  await writer.flush();
  return list.extents;
}

interface FoundPlaces {
  readonly objects: PlaceList;
  /** Of what fs-verity stores beside an object. */
  readonly metadata: PlaceList;
  /** Bytes that come from another disk. */
  readonly storedSize: number;
}

function findPlaces(plan: DiskPlan): FoundPlaces {
  const objects = new PlaceList();
  const metadata = new PlaceList();
  let storedSize = 0;
  for (const piece of plan.pieces()) {
    if (isBytesPiece(piece) || piece.content instanceof Uint8Array) continue;
    const { content } = piece;
    if (content.kind === "stored") storedSize += piece.size;
    else if (content.kind === "verity") metadata.add(content.object, piece);
    else objects.add(content, piece);
  }
  return { objects, metadata, storedSize };
}
