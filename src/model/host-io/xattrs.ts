/**
 * Extended attributes of files. Node has no call for them: libc is called through the optional package koffi, and
 * without it the Debian program `getfattr` is run once for the whole directory.
 */
import { createRequire } from "node:module";
import type * as Koffi from "koffi";
import { type ByteString, byteStringToBytes, bytesToByteString } from "../../lib/bytes/byte-string.ts";
import { CommandError, quote, UnsupportedError } from "../../lib/errors.ts";
import { runCommand } from "./command.ts";
import { inputError } from "./errors.ts";

export type Xattrs = ReadonlyMap<ByteString, ByteString>;

/**
 * The attributes of one file under the directory the reader was opened for; a symbolic link's own.
 *
 * @param path the directory as it was given, and the names below it
 * @throws {NotFoundError} `input.not-found`
 * @throws {InputOutputError} `input.unreadable`
 */
export type ReadXattrs = (path: ByteString) => Xattrs;

export interface XattrOptions {
  readonly signal?: AbortSignal;
  /** Which way to go; by default libc where koffi is installed. */
  readonly through?: "libc" | "getfattr";
}

/**
 * @param root directory, in the bytes of its path
 * @throws {UnsupportedError} `xattrs.no-reader` when neither koffi nor `getfattr` is there
 */
export async function openXattrs(root: ByteString, options: XattrOptions = {}): Promise<ReadXattrs> {
  const libc = options.through === "getfattr" ? undefined : loadLibc();
  if (libc !== undefined) return (path) => readThroughLibc(libc, path);
  if (options.through === "libc") throw noReader();
  const all = await readThroughGetfattr(root, options.signal);
  return (path) => all.get(path) ?? NONE;
}

const NONE: Xattrs = new Map();

function noReader(cause?: unknown): UnsupportedError {
  return new UnsupportedError("xattrs.no-reader", "extended attributes cannot be read on this machine", {
    cause,
    hint: 'install the npm package "koffi" or the Debian package "attr"',
  });
}

// --- libc ---------------------------------------------------------------------------------------------------------

interface Libc {
  llistxattr(path: Uint8Array, list: Uint8Array | null, size: number): number;
  lgetxattr(path: Uint8Array, name: Uint8Array, value: Uint8Array | null, size: number): number;
  errno(): number;
}

/** XATTR_LIST_MAX and XATTR_SIZE_MAX (linux/limits.h) are both this. */
const XATTR_MAX = 65_536;

const ERRNO = { ENOENT: 2, EACCES: 13, ENODATA: 61, EOPNOTSUPP: 95 } as const;

let libc: Libc | undefined;

/** `undefined` when koffi is absent. 22 ms the first time, so only who needs it pays. */
function loadLibc(): Libc | undefined {
  if (libc !== undefined || process.platform !== "linux") return libc;
  let koffi: typeof Koffi;
  try {
    koffi = createRequire(import.meta.url)("koffi") as typeof Koffi;
  } catch {
    return undefined;
  }
  const library = koffi.load(null);
  libc = {
    // ssize_t is long on every Linux ABI; koffi knows only the latter.
    llistxattr: library.func("long llistxattr(const uint8_t *path, _Out_ uint8_t *list, size_t size)"),
    lgetxattr: library.func(
      "long lgetxattr(const uint8_t *path, const uint8_t *name, _Out_ uint8_t *value, size_t size)",
    ),
    errno: () => koffi.errno(),
  };
  return libc;
}

/** Calls are synchronous: the buffer is free again before anyone else can ask. */
const scratch = Buffer.allocUnsafeSlow(XATTR_MAX);

function readThroughLibc(libc: Libc, path: ByteString): Xattrs {
  const cPath = cString(path);
  const size = libc.llistxattr(cPath, scratch, scratch.length);
  if (size === 0) return NONE;
  if (size < 0) {
    if (libc.errno() === ERRNO.EOPNOTSUPP) return NONE;
    throw systemError(libc.errno(), path);
  }
  const names = bytesToByteString(scratch.subarray(0, size)).split("\0") as ByteString[];
  const xattrs = new Map<ByteString, ByteString>();
  for (const name of names) {
    if (name === "") continue;
    const length = libc.lgetxattr(cPath, cString(name), scratch, scratch.length);
    if (length >= 0) xattrs.set(name, bytesToByteString(scratch.subarray(0, length)));
    else if (libc.errno() !== ERRNO.ENODATA) throw systemError(libc.errno(), path);
  }
  return xattrs;
}

const cString = (text: ByteString): Uint8Array => byteStringToBytes(`${text}\0` as ByteString);

function systemError(errno: number, path: ByteString): unknown {
  const name = Object.entries(ERRNO).find(([, value]) => value === errno)?.[0] ?? "EIO";
  const error = Object.assign(new Error(`errno ${errno}`), { code: name });
  return inputError(error, "extended attributes of", byteStringToBytes(path));
}

// --- getfattr -----------------------------------------------------------------------------------------------------

/** One run for the whole tree: names that are not UTF-8 could not be given to it one by one. */
async function readThroughGetfattr(root: ByteString, signal?: AbortSignal): Promise<Map<ByteString, Xattrs>> {
  const path = Buffer.from(root, "latin1").toString("utf8");
  const flags = ["-R", "-P", "-h", "-d", "-m", "-", "-e", "hex", "--absolute-names", "--"];
  try {
    const env = { ...(process.env as Record<string, string>), LC_ALL: "C" };
    const { stdout } = await runCommand(["getfattr", ...flags, path], {
      env,
      ...(signal === undefined ? {} : { signal }),
    });
    return parseGetfattr(bytesToByteString(stdout));
  } catch (error) {
    if (error instanceof CommandError && error.code === "command.not-found") throw noReader(error);
    throw error;
  }
}

/**
 * Parses the dump format of getfattr(1) with hex values:
 *
 *     # file: PATH, control characters and backslashes as \ooo, other bytes as they are
 *     NAME=0xHEX      the same, and "=" as \075
 *     (empty line)
 */
export function parseGetfattr(text: ByteString): Map<ByteString, Xattrs> {
  const files = new Map<ByteString, Map<ByteString, ByteString>>();
  let current: Map<ByteString, ByteString> | undefined;
  for (const line of text.split("\n")) {
    if (line === "") continue;
    if (line.startsWith("# file: ")) {
      current = new Map();
      files.set(unescapeOctal(line.slice(8)), current);
      continue;
    }
    const [, name, hex] = /^([^=]+)=0x((?:[0-9a-f]{2})*)$/.exec(line) ?? [];
    if (current === undefined || name === undefined || hex === undefined) {
      throw new CommandError("xattrs.getfattr-output", `getfattr: unexpected line ${quote(line)}`);
    }
    current.set(unescapeOctal(name), Buffer.from(hex, "hex").toString("latin1") as ByteString);
  }
  return files;
}

function unescapeOctal(text: string): ByteString {
  return text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  ) as ByteString;
}
