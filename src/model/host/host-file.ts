import { open } from "node:fs/promises";
import { join } from "node:path";
import { FormatError } from "../../lib/errors.ts";
import { errnoOf, inputError } from "../host-io/errors.ts";

const CHUNK_SIZE = 64 * 1024;

/**
 * Reads a file of a host to its end. The kernel's own files do not say how large they are.
 *
 * @param path below `root`, without leading slash
 * @returns `undefined` when there is no such file
 * @throws {FormatError} `host.file-too-large`
 * @throws {InputOutputError} `input.unreadable`
 */
export async function loadHostFile(root: string, path: string, maxSize: number): Promise<Uint8Array | undefined> {
  const place = join(root, path);
  try {
    await using handle = await open(place, "r");
    const chunks: Uint8Array[] = [];
    for (let size = 0; ; ) {
      const chunk = Buffer.allocUnsafeSlow(CHUNK_SIZE);
      const { bytesRead } = await handle.read(chunk, 0, chunk.length);
      if (bytesRead === 0) return Buffer.concat(chunks, size);
      size += bytesRead;
      if (size > maxSize) {
        const expected = `at most ${maxSize} bytes`;
        throw new FormatError("host.file-too-large", { what: `/${path}`, expected, found: "more" });
      }
      chunks.push(chunk.subarray(0, bytesRead));
    }
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(errnoOf(error) ?? "")) return undefined;
    throw inputError(error, "file of the system", place);
  }
}

/** Of text the kernel shows in one piece. */
export async function loadHostText(root: string, path: string, maxSize: number): Promise<string | undefined> {
  const bytes = await loadHostFile(root, path, maxSize);
  return bytes === undefined ? undefined : Buffer.from(bytes).toString("utf8");
}
