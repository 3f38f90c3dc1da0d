import { createHash } from "node:crypto";
import { availableParallelism } from "node:os";
import { type Compression, layerMediaType } from "../../formats/oci/index.ts";
import { VerificationError } from "../../lib/errors.ts";
import { type Progress, silent } from "../../lib/progress.ts";
import { compress } from "../../lib/streams/compress.ts";
import { encodeLayerTar } from "../../model/chunks/index.ts";
import { throwIfInterrupted } from "../../model/host-io/interrupt.ts";
import type { ImageWriter } from "../../model/image/image-writer.ts";
import type { PlainContents } from "../../model/layer/plain-layers.ts";
import type { MeasuredLayer } from "./check-layers.ts";
import type { StoredLayer } from "./previous.ts";
import type { RechunkedLayer } from "./report.ts";

export interface WriteLayersOptions {
  readonly manifestMediaType: string;
  readonly compression: Compression;
  readonly level: number | undefined;
  /** Layers that are packed already, by diff ID. */
  readonly stored: ReadonlyMap<string, StoredLayer>;
  readonly signal?: AbortSignal | undefined;
  readonly progress?: Progress | undefined;
}

/** Layers at a time: each has a thread that compresses, and the memory of a compressor. */
const PARALLEL = Math.min(4, availableParallelism());

/** Packs and stores the layers, some at a time; those that are stored already are copied as they are. */
export async function writeLayers(
  writer: ImageWriter,
  layers: readonly MeasuredLayer[],
  contents: PlainContents,
  options: WriteLayersOptions,
): Promise<RechunkedLayer[]> {
  const { progress = silent } = options;
  const total = layers.reduce((sum, { tarSize }) => sum + tarSize, 0);
  let done = 0;
  const count = (bytes: number): void => {
    done += bytes;
    progress({ step: "layers.write", text: "packing layers", done, total, unit: "bytes" });
  };
  const written: RechunkedLayer[] = [];
  const stop = new AbortController();
  const queue = layers.entries();
  const work = async (): Promise<void> => {
    // An archive stores blobs in the order in which they are begun: that of the layers.
    for (const [index, layer] of queue) {
      throwIfInterrupted(stop.signal);
      written[index] = await writeLayer(writer, layer, contents, { ...options, count });
    }
  };
  const results = await Promise.allSettled(
    Array.from({ length: PARALLEL }, async () => {
      try {
        await work();
      } catch (error) {
        stop.abort();
        throw error;
      }
    }),
  );
  const failure = results.find((result) => result.status === "rejected");
  if (failure !== undefined) throw failure.reason;
  return written;
}

async function writeLayer(
  writer: ImageWriter,
  { diffId, plan, tarSize }: MeasuredLayer,
  contents: PlainContents,
  options: WriteLayersOptions & { readonly count: (bytes: number) => void },
): Promise<RechunkedLayer> {
  const { compression, count, level, manifestMediaType, signal, stored } = options;
  const { components, entries, probability } = plan;
  const about = { diffId, tarSize, components, entries: entries.length, probability };
  const known = stored.get(diffId);
  if (known !== undefined) {
    const { digest, mediaType, size } = await writer.copyBlob(known.layer);
    count(tarSize);
    return { digest, size, mediaType, ...about, reusedFrom: known.image };
  }
  const mediaType = layerMediaType(manifestMediaType, compression);
  async function* tar(): AsyncGenerator<Uint8Array, void, void> {
    const hash = createHash("sha256");
    for await (const chunk of encodeLayerTar(plan, contents)) {
      throwIfInterrupted(signal);
      hash.update(chunk);
      count(chunk.length);
      yield chunk;
    }
    // What is packed is what was compared.
    const found = `sha256:${hash.digest("hex")}`;
    if (found === diffId) return;
    const message = `found ${found} when the layer was packed, expected ${diffId}`;
    throw new VerificationError("rechunk.layer-changed", message, { data: { found, expected: diffId } });
  }
  const { digest, size } = await writer.putBlob({ mediaType }, compress(tar(), compression, level));
  return { digest, size, mediaType, ...about };
}
