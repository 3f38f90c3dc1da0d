/** Files read with limits and written whole or not at all. */
import { constants } from "node:fs";
import { type FileHandle, link, lstat, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { FormatError } from "../../lib/errors.ts";
import { inputError, outputError, outputExists } from "./errors.ts";
import { throwIfInterrupted } from "./interrupt.ts";
import { temporaryNameBeside } from "./temp.ts";

export interface WriteOptions {
  /** Permission bits, before the umask. Keys want 0o600. */
  readonly mode?: number;
  /** Replace a file that is there already. */
  readonly overwrite?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * Writes a file under a temporary name beside it, flushes it and renames it. Until then, and after an error or an
 * interruption, `path` is what it was before.
 *
 * @throws {InputOutputError} `output.exists`, `output.unwritable`, `output.no-space`
 * @throws {InterruptedError}
 */
export async function storeFile(
  path: string,
  content: Uint8Array | AsyncIterable<Uint8Array>,
  options: WriteOptions = {},
): Promise<void> {
  await using output = await openOutputFile(path, options);
  for await (const chunk of content instanceof Uint8Array ? [content] : content) await output.write(chunk);
  await output.commit();
}

/** A file that comes to be at `commit`, and not at all without it. */
export interface OutputFile extends AsyncDisposable {
  /** Where the bytes are until then. */
  readonly temporaryPath: string;
  /** Bytes written, and where the next chunk goes. */
  readonly size: number;
  write(chunk: Uint8Array): Promise<void>;
  /** Replaces bytes written before. */
  replace(offset: number, chunk: Uint8Array): Promise<void>;
  /** Forgets what was written from `size` on. */
  truncate(size: number): Promise<void>;
  commit(): Promise<void>;
}

/** @throws {InputOutputError} `output.exists`, `output.unwritable`, `output.no-space` */
export async function openOutputFile(path: string, options: WriteOptions = {}): Promise<OutputFile> {
  const { mode = 0o644, overwrite = false, signal } = options;
  throwIfInterrupted(signal);
  const translated = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      throw outputError(error, path);
    }
  };
  if (!overwrite && (await translated(exists(path)))) throw alreadyThere(path);
  const temporaryPath = temporaryNameBeside(path);
  const handle = await translated(open(temporaryPath, "wx", mode));
  let size = 0;
  let committed = false;
  return {
    temporaryPath,
    get size() {
      return size;
    },
    async write(chunk) {
      throwIfInterrupted(signal);
      await translated(writeAll(handle, chunk, size));
      size += chunk.length;
    },
    async replace(offset, chunk) {
      await translated(writeAll(handle, chunk, offset));
    },
    async truncate(to) {
      await translated(handle.truncate(to));
      size = to;
    },
    async commit() {
      throwIfInterrupted(signal);
      await translated(handle.sync());
      await translated(overwrite ? rename(temporaryPath, path) : renameNew(temporaryPath, path));
      committed = true;
      await translated(syncDirectory(dirname(path)));
    },
    async [Symbol.asyncDispose]() {
      await handle.close();
      if (!committed) await rm(temporaryPath, { force: true });
    },
  };
}

async function writeAll(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

/**
 * Renames without replacing. Node has no renameat2(RENAME_NOREPLACE); a hard link fails when the name is taken, and
 * file systems without hard links get a look before the rename.
 */
async function renameNew(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST" || (await exists(to))) throw alreadyThere(to);
    await rename(from, to);
    return;
  }
  await rm(from);
}

const alreadyThere = (path: string): Error => outputExists(path, "choose another name, or ask to overwrite");

/** Whether the name is taken, by a dangling symbolic link as well. */
export async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

/** Makes what was written to a file by other means last through a power failure. */
export async function syncFile(path: string): Promise<void> {
  await using handle = await open(path, "r+");
  await handle.sync();
}

/** Makes renames in a directory last through a power failure. */
export async function syncDirectory(path: string): Promise<void> {
  await using handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  await handle.sync();
}

/**
 * Opens a file for reading, whose kind is known afterwards: a FIFO cannot make us wait, a device has no bytes for us.
 * Symbolic links are followed.
 *
 * @throws {NotFoundError} `input.not-found`
 * @throws {InputOutputError} `input.unreadable`
 * @throws {FormatError} `input.not-a-file`
 */
export async function openInputFile(path: string, what: string): Promise<FileHandle & { readonly byteSize: number }> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = await handle.stat();
    if (!stat.isFile()) {
      throw new FormatError("input.not-a-file", {
        what: `${what} ${JSON.stringify(path)}`,
        expected: "a regular file",
        found: stat.isDirectory() ? "a directory" : "a device, FIFO or socket",
      });
    }
    return Object.assign(handle, { byteSize: stat.size });
  } catch (error) {
    await handle?.close();
    throw inputError(error, what, path);
  }
}

/**
 * Reads a whole small file.
 *
 * @throws {FormatError} with `tooLargeCode` when it has more than `maxSize` bytes
 * @throws what `openInputFile` throws
 */
export async function loadFile(path: string, what: string, maxSize: number, tooLargeCode: string): Promise<Uint8Array> {
  await using handle = await openInputFile(path, what);
  if (handle.byteSize > maxSize) {
    throw new FormatError(tooLargeCode, { what, expected: `at most ${maxSize} bytes`, found: `${handle.byteSize}` });
  }
  return await readExactly(handle, path, 0, handle.byteSize, what);
}

/**
 * Reads a part of an open file.
 *
 * @throws {FormatError} `input.truncated` when the file ends before
 */
export async function readExactly(
  handle: FileHandle,
  path: string,
  offset: number,
  size: number,
  what: string,
): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(size);
  for (let done = 0; done < size; ) {
    const { bytesRead } = await handle.read(bytes, done, size - done, offset + done).catch((error: unknown) => {
      throw inputError(error, what, path);
    });
    if (bytesRead === 0) throw truncated(what, offset, size, done);
    done += bytesRead;
  }
  return bytes;
}

/** Large enough that system calls do not count, small enough for several streams at once. */
const CHUNK_SIZE = 256 * 1024;

/**
 * Streams a part of a file. The chunks are the caller's to keep.
 *
 * @throws {FormatError} `input.truncated` when the file ends before the part does
 * @throws what `openInputFile` throws
 */
export async function* streamFile(
  path: string,
  offset: number,
  size: number,
  what: string,
): AsyncGenerator<Uint8Array, void, void> {
  await using handle = await openInputFile(path, what);
  for (let done = 0; done < size; ) {
    const chunk = Buffer.allocUnsafeSlow(Math.min(CHUNK_SIZE, size - done));
    const { bytesRead } = await handle.read(chunk, 0, chunk.length, offset + done).catch((error: unknown) => {
      throw inputError(error, what, path);
    });
    if (bytesRead === 0) throw truncated(what, offset, size, done);
    done += bytesRead;
    yield bytesRead === chunk.length ? chunk : chunk.subarray(0, bytesRead);
  }
}

function truncated(what: string, offset: number, size: number, done: number): FormatError {
  return new FormatError("input.truncated", {
    what,
    offset: offset + done,
    expected: `${size - done} more bytes`,
    found: "the end of the file",
  });
}
