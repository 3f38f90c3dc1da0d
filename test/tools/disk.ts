import { spawnSync } from "node:child_process";
import { closeSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from "node:fs";
import type { ByteSource } from "../../src/lib/bytes/byte-source.ts";
import { type OpenContent, type Piece, resolvePieces } from "../../src/lib/bytes/piece.ts";

/** What a program says that must succeed: both streams, since disk tools use either. */
export function run(program: string, args: readonly string[], input?: string): string {
  const { stdout, stderr } = runApart(program, args, input);
  return stdout + stderr;
}

export function runApart(program: string, args: readonly string[], input?: string): { stdout: string; stderr: string } {
  const { error, status, stdout, stderr } = spawnSync(program, args, {
    encoding: "utf8",
    maxBuffer: 1 << 28,
    // sgdisk, mkfs.fat and others live where users of Debian do not look.
    env: { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin:/sbin`, LC_ALL: "C.UTF-8" },
    ...(input === undefined ? {} : { input }),
  });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${program} ${args.join(" ")}: status ${status}\n${stdout}${stderr}`);
  return { stdout, stderr };
}

/** Contents in the tests: bytes. */
export const openBytes: OpenContent<Uint8Array> = (content, from, size) => [content.subarray(from, from + size)];

/** Writes a planned disk or file system; what no piece covers is a hole. */
export async function writeImage(
  path: string,
  size: number,
  pieces: Iterable<Piece<Uint8Array>> | AsyncIterable<Piece<Uint8Array>>,
): Promise<void> {
  const fd = openSync(path, "w");
  try {
    ftruncateSync(fd, size);
    for await (const piece of pieces) {
      for await (const { offset, bytes } of resolvePieces([piece], openBytes)) {
        writeSync(fd, bytes, 0, bytes.length, offset);
      }
    }
  } finally {
    closeSync(fd);
  }
}

/** A file read by position. Stays open: the process of a test ends soon. */
export function fileSource(path: string): ByteSource {
  const fd = openSync(path, "r");
  return {
    size: fstatSync(fd).size,
    read: (offset, size) => {
      const bytes = new Uint8Array(size);
      readSync(fd, bytes, 0, size, offset);
      return bytes;
    },
  };
}
