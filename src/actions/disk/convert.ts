/** Formats that are made from a raw disk and the list of what is written in it. */
import { createGzip, createZstdCompress, constants as zlib } from "node:zlib";
import { encodeQcow2 } from "../../formats/qcow2/index.ts";
import { encodeGnuSparseHeader, TAR_END } from "../../formats/tar/index.ts";
import { encodeVmdk } from "../../formats/vmdk/index.ts";
import type { BytesPiece } from "../../lib/bytes/piece.ts";
import { through } from "../../lib/streams/through.ts";
import type { OutputFile } from "../../model/host-io/files.ts";
import { type Extent, readExtents, withZeros } from "./extents.ts";
import type { DiskFormat } from "./options.ts";

export interface RawDisk {
  readonly path: string;
  readonly size: number;
  readonly extents: readonly Extent[];
  readonly id: Uint8Array;
  readonly time: number;
}

export async function convertDisk(
  raw: RawDisk,
  file: OutputFile,
  format: Exclude<DiskFormat, "raw" | "vhd">,
): Promise<void> {
  const pieces = readExtents(raw.path, raw.extents);
  switch (format) {
    case "qcow2":
      return await writePieces(file, encodeQcow2(pieces, { size: raw.size }));
    case "vmdk": {
      const contentId = Buffer.from(raw.id).readUInt32BE();
      return await writeAll(file, encodeVmdk(pieces, { size: raw.size, contentId }));
    }
    case "gce":
      return await writeAll(file, through(encodeGceTar(raw, pieces), createGzip()));
    case "raw.zst": {
      const params = { [zlib.ZSTD_c_checksumFlag]: 1 };
      return await writeAll(file, through(withZeros(pieces, raw.size), createZstdCompress({ params })));
    }
    default:
      return format satisfies never;
  }
}

/** What Google Cloud imports: `disk.raw` in an old GNU tar, and that in gzip. */
async function* encodeGceTar(
  { extents, size, time }: RawDisk,
  pieces: AsyncIterable<BytesPiece>,
): AsyncGenerator<Uint8Array, void, void> {
  yield encodeGnuSparseHeader({ name: "disk.raw", size, time, parts: extents });
  for await (const { bytes } of pieces) yield bytes;
  yield TAR_END;
}

async function writeAll(file: OutputFile, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const chunk of chunks) await file.write(chunk);
}

async function writePieces(file: OutputFile, pieces: AsyncIterable<BytesPiece>): Promise<void> {
  let end = 0;
  for await (const { bytes, offset } of pieces) {
    await file.replace(offset, bytes);
    end = Math.max(end, offset + bytes.length);
  }
  await file.truncate(end);
}
