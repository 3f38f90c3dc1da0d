import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { FormatError, UnsupportedError } from "../../lib/errors.ts";
import { isPe } from "../pe/index.ts";

/** Largest kernel that is unpacked. Safety limit, not a format rule: distribution kernels stay below 100 MiB. */
export const MAX_KERNEL_SIZE = 512 * 1024 * 1024;

type Compression = "gzip" | "zstd" | "xz" | "lz4" | "lzma" | "lzop" | "bzip2";

const MAGICS: readonly (readonly [Compression, string])[] = [
  ["gzip", "1f8b"],
  ["zstd", "28b52ffd"],
  ["xz", "fd377a585a00"],
  ["lz4", "02214c18"],
  ["lz4", "04224d18"],
  ["lzop", "894c5a4f"],
  ["bzip2", "425a68"],
  ["lzma", "5d0000"],
];

/** EFI zboot header of Linux drivers/firmware/efi/libstub/zboot-header.S: a PE that unpacks its payload. */
const ZBOOT = { magic: 4, payloadOffset: 0x08, payloadSize: 0x0c, compression: 0x18, size: 0x38 } as const;

/**
 * Gives the kernel as firmware can start it: a PE, and what nobody knows, as it is; a gzip or zstd file unpacked.
 *
 * @throws {UnsupportedError} `uki.kernel.compression` for xz, lz4, lzma, lzop and bzip2
 * @throws {FormatError} `uki.kernel.compressed-data`
 */
export function toBootableKernel(kernel: Uint8Array): Uint8Array {
  if (isPe(kernel)) return kernel;
  const compression = compressionOf(kernel);
  return compression === undefined ? kernel : decompress(kernel, compression);
}

/** What a compressed kernel or a zboot image holds inside, as text can be searched in it. */
export function kernelPayload(kernel: Uint8Array): Uint8Array {
  const zboot = zbootPayload(kernel);
  const packed = zboot ?? kernel;
  const compression = compressionOf(packed);
  return compression === undefined ? packed : decompress(packed, compression);
}

function zbootPayload(kernel: Uint8Array): Uint8Array | undefined {
  const bytes = Buffer.from(kernel.buffer, kernel.byteOffset, kernel.byteLength);
  if (bytes.length < ZBOOT.size || bytes.toString("latin1", ZBOOT.magic, ZBOOT.magic + 4) !== "zimg") return undefined;
  const offset = bytes.readUInt32LE(ZBOOT.payloadOffset);
  const size = bytes.readUInt32LE(ZBOOT.payloadSize);
  if (offset + size > bytes.length) {
    throw new FormatError("uki.kernel.zboot", {
      what: "EFI zboot kernel: payload",
      offset,
      expected: `to end by the file's end ${bytes.length}`,
      found: `end at ${offset + size}`,
    });
  }
  return bytes.subarray(offset, offset + size);
}

function compressionOf(bytes: Uint8Array): Compression | undefined {
  const start = Buffer.from(bytes.subarray(0, 8)).toString("hex");
  return MAGICS.find(([, magic]) => start.startsWith(magic))?.[0];
}

function decompress(bytes: Uint8Array, compression: Compression): Uint8Array {
  const limit = { maxOutputLength: MAX_KERNEL_SIZE };
  try {
    if (compression === "gzip") return gunzipSync(bytes, limit);
    if (compression === "zstd") return zstdDecompressSync(bytes, limit);
  } catch (cause) {
    throw new FormatError(
      "uki.kernel.compressed-data",
      {
        what: `${compression} kernel`,
        expected: `whole ${compression} data of at most ${MAX_KERNEL_SIZE} bytes unpacked`,
        found: "other data",
      },
      { cause },
    );
  }
  throw new UnsupportedError(
    "uki.kernel.compression",
    `kernel: ${compression} compression is not supported; unpack it first, or name its version`,
  );
}
