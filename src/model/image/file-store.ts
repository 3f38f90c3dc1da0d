/** Files by name, in a directory or in place inside a tar archive: what layouts and archives have in common. */
import { type FileHandle, stat } from "node:fs/promises";
import { join } from "node:path";
import { TAR_BLOCK_SIZE, TarReader } from "../../formats/tar/index.ts";
import { FormatError, NotFoundError, quote, UnsupportedError } from "../../lib/errors.ts";
import { inputError } from "../host-io/errors.ts";
import { openInputFile, readExactly } from "../host-io/files.ts";
import { throwIfInterrupted } from "../host-io/interrupt.ts";
import type { FileRange } from "./image.ts";

export interface FileStore {
  /** Path of the directory or archive. */
  readonly path: string;
  /** @param name relative, `/` between components */
  find(name: string): Promise<FileRange | undefined>;
}

/**
 * Finds files in a directory. Symbolic links are followed: build systems make layouts of links into their caches,
 * and every blob is checked against its digest.
 *
 * @throws {NotFoundError} `input.not-found`
 * @throws {FormatError} `input.not-a-directory`
 */
export async function openDirectoryStore(path: string): Promise<FileStore> {
  const root = await stat(path).catch((error: unknown) => {
    throw inputError(error, "image layout", path);
  });
  if (!root.isDirectory()) {
    throw new FormatError("input.not-a-directory", {
      what: `image layout ${quote(path)}`,
      expected: "a directory",
      found: root.isFile() ? "a file" : "a special file",
    });
  }
  return {
    path,
    async find(name) {
      const file = join(path, name);
      const found = await stat(file).catch((error: unknown) => {
        const translated = inputError(error, "image layout", file);
        if (translated instanceof NotFoundError) return undefined;
        throw translated;
      });
      if (found === undefined) return undefined;
      if (!found.isFile()) {
        throw new FormatError("input.not-a-file", {
          what: quote(file),
          expected: "a regular file",
          found: "something else",
        });
      }
      return { path: file, offset: 0, size: found.size };
    },
  };
}

/** Safety limit: an archive of an image has a few members a layer. */
export const MAX_ARCHIVE_MEMBERS = 100_000;

/** @throws {FormatError} `tooLargeCode`, `input.truncated` */
export async function loadRange(
  range: FileRange,
  what: string,
  maxSize: number,
  tooLargeCode: string,
): Promise<Uint8Array> {
  const { path, offset, size } = range;
  if (size > maxSize) {
    throw new FormatError(tooLargeCode, { what, expected: `at most ${maxSize} bytes`, found: `${size}` });
  }
  await using handle = await openInputFile(path, what);
  return await readExactly(handle, path, offset, size, what);
}

/** How the common compressions begin. */
const COMPRESSED: readonly (readonly [magic: string, name: string, program: string])[] = [
  ["1f8b", "gzip", "gunzip"],
  ["28b52ffd", "zstd", "unzstd"],
  ["fd377a585a00", "xz", "unxz"],
  ["425a68", "bzip2", "bunzip2"],
];

/**
 * Indexes the members of a tar archive. Only headers are read; the files stay where they are.
 *
 * @throws {NotFoundError} `input.not-found`
 * @throws {UnsupportedError} `image.archive.compressed`: places in a compressed file cannot be read on their own
 * @throws {FormatError} `tar.*`, `image.archive.duplicate-member`, `image.archive.too-many-members`
 */
export async function openArchiveStore(path: string, signal?: AbortSignal): Promise<FileStore> {
  await using handle = await openInputFile(path, "image archive");
  const size = handle.byteSize;
  await refuseCompressed(handle, path, size);

  const files = new Map<string, FileRange>();
  const links = new Map<string, string>();
  const reader = new TarReader();
  while (reader.need !== undefined && reader.need.offset + reader.need.size <= size) {
    throwIfInterrupted(signal);
    const item = reader.take(await readExactly(handle, path, reader.need.offset, reader.need.size, path));
    if (item === undefined) continue;
    const { entry, offset } = item;
    const name = normalise(entry.path);
    if (files.has(name) || links.has(name)) {
      throw new FormatError("image.archive.duplicate-member", {
        what: `${path}: member ${quote(name)}`,
        offset,
        expected: "each name once",
        found: "it again",
      });
    }
    if (entry.kind === "file") files.set(name, { path, offset, size: entry.size });
    // docker save of old wrote a layer that two images share once, and links to it.
    if (entry.kind === "symlink") links.set(name, normalise(`${parentOf(name)}/${entry.target}`));
    if (entry.kind === "hardlink") links.set(name, normalise(entry.target));
    if (files.size + links.size > MAX_ARCHIVE_MEMBERS) {
      const expected = `at most ${MAX_ARCHIVE_MEMBERS} members`;
      throw new FormatError("image.archive.too-many-members", { what: path, offset, expected, found: "more" });
    }
  }
  reader.end(size);
  // oxlint-disable-next-line require-await -- a directory has to be asked
  return { path, find: async (name) => files.get(name) ?? files.get(links.get(name) ?? "") };
}

async function refuseCompressed(handle: FileHandle, path: string, size: number): Promise<void> {
  const start = (await readExactly(handle, path, 0, Math.min(size, TAR_BLOCK_SIZE), path)).toString("hex");
  const found = COMPRESSED.find(([magic]) => start.startsWith(magic));
  if (found === undefined) return;
  const [, name, program] = found;
  throw new UnsupportedError(
    "image.archive.compressed",
    `${path}: compressed with ${name}, expected a plain tar archive`,
    {
      hint: `${program} --keep ${path}`,
    },
  );
}

/** Resolves `.` and `..` inside the archive, as a path without leading slash. */
function normalise(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts.join("/");
}

const parentOf = (name: string): string => name.slice(0, Math.max(0, name.lastIndexOf("/")));
