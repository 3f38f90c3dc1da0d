/** Layers for tests, from tars in memory or in files. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { gzipSync, zstdCompressSync } from "node:zlib";
import type { BlobDigest } from "../src/formats/oci/digest.ts";
import { encodeTarEntry, TAR_END, tarPadding } from "../src/formats/tar/index.ts";
import { byteString } from "../src/lib/bytes/byte-string.ts";
import type { Compression, Layer } from "../src/model/image/image.ts";

export const sha256 = (bytes: Uint8Array): BlobDigest =>
  `sha256:${createHash("sha256").update(bytes).digest("hex")}` as BlobDigest;

export interface TestLayer extends Layer {
  /** How many bytes were read so far. */
  readonly read: () => number;
}

export function layerOf(
  blob: Uint8Array,
  compression: Compression,
  tar: Uint8Array,
  more: Partial<Layer> = {},
): TestLayer {
  let read = 0;
  async function* open(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < blob.length; at += 40_000) {
      const chunk = blob.subarray(at, at + 40_000);
      read += chunk.length;
      yield chunk;
    }
  }
  const names = { digest: sha256(blob), diffId: sha256(tar), size: blob.length };
  return { index: 0, mediaType: "", compression, ...names, open, read: () => read, ...more };
}

/** Deterministic bytes that do not compress. */
export function noise(size: number, seed = ""): Buffer {
  const blocks = Math.ceil(size / 64);
  return Buffer.concat(
    Array.from({ length: blocks }, (_, index) => createHash("sha512").update(`${seed}${index}`).digest()),
  ).subarray(0, size);
}

export function tarOf(files: Readonly<Record<string, Uint8Array>>): Buffer {
  const meta = { mode: 0o644, uid: 0, gid: 0, mtimeSec: 1n, mtimeNsec: 0, xattrs: new Map() };
  const parts = Object.entries(files).flatMap(([path, content]) => [
    encodeTarEntry({ ...meta, path: byteString(path), kind: "file", size: content.length }),
    content,
    tarPadding(content.length),
  ]);
  return Buffer.concat([...parts, TAR_END]);
}

/** The same tar in every form that a layer can have. */
export function packings(tar: Buffer): Record<string, TestLayer> {
  const tool = (command: string, ...args: string[]): Buffer =>
    execFileSync(command, args, { input: tar, maxBuffer: 1 << 30 });
  const parts = Array.from({ length: Math.ceil(tar.length / 5000) }, (_, index) =>
    tar.subarray(index * 5000, (index + 1) * 5000),
  );
  return {
    plain: layerOf(tar, "none", tar),
    "gzip by node": layerOf(gzipSync(tar), "gzip", tar),
    "gzip by the tool": layerOf(tool("gzip", "-nc9"), "gzip", tar),
    "gzip of many members": layerOf(Buffer.concat(parts.map((part) => gzipSync(part))), "gzip", tar),
    "zstd by node": layerOf(zstdCompressSync(tar), "zstd", tar),
    "zstd by the tool": layerOf(tool("zstd", "-qc19"), "zstd", tar),
    "zstd of many frames": layerOf(Buffer.concat(parts.map((part) => zstdCompressSync(part))), "zstd", tar),
  };
}
