import { InputOutputError, NotFoundError, quote, type SealwrightError } from "../../lib/errors.ts";

/** Name of a file for messages, whatever its bytes. */
export function showPath(path: string | Uint8Array): string {
  return typeof path === "string" ? path : Buffer.from(path).toString("utf8");
}

/** The errno name of a failed system call, `undefined` for any other error. */
export function errnoOf(error: unknown): string | undefined {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return typeof code === "string" && /^E[A-Z0-9]+$/.test(code) ? code : undefined;
}

const REASON: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EPERM: "operation not permitted",
  EROFS: "read-only file system",
  ENOENT: "no such file or directory",
  ENOTDIR: "a component of the path is not a directory",
  EISDIR: "is a directory",
  ENAMETOOLONG: "file name too long",
  ELOOP: "too many symbolic links",
  EIO: "input/output error",
  ENOTEMPTY: "directory is not empty",
};

const reasonOf = (errno: string): string => REASON[errno] ?? errno;

/**
 * Says why reading `path` failed. Errors that are no refusal of the operating system come back as they are.
 *
 * @param what the thing that is read: "image layout", "tar archive"
 * @returns `NotFoundError` `input.not-found`, `InputOutputError` `input.unreadable`, or `error` itself
 */
export function inputError(error: unknown, what: string, path: string | Uint8Array): unknown {
  const errno = errnoOf(error);
  if (errno === undefined) return error;
  const message = `${what} ${quote(showPath(path))}: ${reasonOf(errno)}`;
  const options = { cause: error, data: { path: showPath(path), errno } };
  if (errno === "ENOENT" || errno === "ENOTDIR") return new NotFoundError("input.not-found", message, options);
  return new InputOutputError("input.unreadable", message, options);
}

/**
 * Says why writing `path` failed. Errors that are no refusal of the operating system come back as they are.
 *
 * @returns `InputOutputError` `output.no-space`, `output.unwritable`, or `error` itself
 */
export function outputError(error: unknown, path: string): unknown {
  const errno = errnoOf(error);
  if (errno === undefined) return error;
  const options = { cause: error, data: { path, errno } };
  if (errno === "ENOSPC" || errno === "EDQUOT" || errno === "EFBIG") {
    return new InputOutputError("output.no-space", `${quote(path)}: no space left to write it`, options);
  }
  return new InputOutputError("output.unwritable", `${quote(path)}: cannot be written: ${reasonOf(errno)}`, options);
}

export function outputExists(path: string, hint: string): SealwrightError {
  return new InputOutputError("output.exists", `${quote(path)}: exists already`, { data: { path }, hint });
}
