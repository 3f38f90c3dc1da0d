import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { outputError } from "./errors.ts";

/** A directory that is gone, with all it holds, when it is disposed. */
export interface TempDir extends AsyncDisposable {
  readonly path: string;
}

/** Makes a directory that only this user can enter, in the system's place for temporary files. */
export async function openTempDir(prefix = "sealwright"): Promise<TempDir> {
  const place = join(tmpdir(), `${prefix}-`);
  const path = await mkdtemp(place).catch((error: unknown) => {
    throw outputError(error, place);
  });
  return asTempDir(path);
}

/** Makes a temporary directory beside `path`, on the same file system, so that what is in it can be renamed to `path`. */
export async function openTempDirBeside(path: string): Promise<TempDir> {
  const temp = temporaryNameBeside(path);
  await mkdir(temp, { mode: 0o700 }).catch((error: unknown) => {
    throw outputError(error, path);
  });
  return asTempDir(temp);
}

/** A hidden name beside `path` that nothing else has. It reaches no output: the file is renamed or removed. */
export function temporaryNameBeside(path: string): string {
  return join(dirname(path), `.${basename(path).slice(0, 100)}.${randomBytes(8).toString("hex")}.tmp`);
}

const asTempDir = (path: string): TempDir => ({
  path,
  [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
});
