/**
 * Asks the kernel for the fs-verity digest of a file: what it compares every later read with, not what a program here
 * computes.
 */
import { closeSync, openSync } from "node:fs";
import { createRequire } from "node:module";
import type * as Koffi from "koffi";
import { VERITY_ALGORITHMS, type VerityAlgorithm } from "../../formats/fsverity/index.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { CommandError, UnsupportedError } from "../../lib/errors.ts";
import { runCommand } from "./command.ts";
import { inputError } from "./errors.ts";

export interface VerityMeasurement {
  readonly algorithm: VerityAlgorithm;
  readonly digestHex: string;
}

/** @returns `undefined` for a file without fs-verity */
export type MeasureVerity = (path: string) => Promise<VerityMeasurement | undefined>;

export interface MeasureOptions {
  /** Which way to go; by default libc where koffi is installed. */
  readonly through?: "libc" | "fsverity";
}

/**
 * Measures a file.
 *
 * @returns `undefined` when it has no fs-verity, or is on a file system without it
 * @throws {UnsupportedError} `verity.no-reader` when neither koffi nor `fsverity` is there
 * @throws {NotFoundError} `input.not-found`; {InputOutputError} `input.unreadable`
 */
export async function measureVerity(
  path: string,
  { through }: MeasureOptions = {},
): Promise<VerityMeasurement | undefined> {
  const libc = through === "fsverity" ? undefined : loadLibc();
  if (libc !== undefined) return measureThroughLibc(libc, path);
  if (through === "libc") throw noReader();
  return await measureThroughCommand(path);
}

function noReader(cause?: unknown): UnsupportedError {
  return new UnsupportedError("verity.no-reader", "fs-verity digests cannot be asked for on this machine", {
    cause,
    hint: 'install the npm package "koffi" or the Debian package "fsverity"',
  });
}

// --- libc ---------------------------------------------------------------------------------------------------------

interface Libc {
  ioctl(fd: number, request: number, type: string, argument: Uint8Array): number;
  errno(): number;
}

/** FS_IOC_MEASURE_VERITY (linux/fsverity.h), `_IOWR('f', 134, struct fsverity_digest)`: the same on x86-64 and arm64. */
const FS_IOC_MEASURE_VERITY = 0xc0046686;
/** struct fsverity_digest: algorithm, then size of what follows; both 16 bits. */
const DIGEST_AT = 4;
const DIGEST_MAX = 64;

/** No fs-verity on this file, on this file system, in this kernel. */
const ERRNO_WITHOUT = { ENODATA: 61, ENOTTY: 25, EOPNOTSUPP: 95 } as const;

let libc: Libc | undefined;

/** `undefined` when koffi is absent. */
function loadLibc(): Libc | undefined {
  if (libc !== undefined || process.platform !== "linux") return libc;
  let koffi: typeof Koffi;
  try {
    koffi = createRequire(import.meta.url)("koffi") as typeof Koffi;
  } catch {
    return undefined;
  }
  const ioctl = koffi.load(null).func("int ioctl(int fd, unsigned long request, ...)");
  libc = {
    ioctl: (fd, request, type, argument) => ioctl(fd, request, type, argument) as number,
    errno: () => koffi.errno(),
  };
  return libc;
}

function measureThroughLibc(libc: Libc, path: string): VerityMeasurement | undefined {
  const fd = openOrExplain(path);
  try {
    const argument = Buffer.alloc(DIGEST_AT + DIGEST_MAX);
    argument.writeUInt16LE(DIGEST_MAX, 2);
    if (libc.ioctl(fd, FS_IOC_MEASURE_VERITY, "_Inout_ uint8_t *", argument) !== 0) {
      const errno = libc.errno();
      if (Object.values<number>(ERRNO_WITHOUT).includes(errno)) return undefined;
      throw inputError(Object.assign(new Error(`errno ${errno}`), { code: "EIO" }), "fs-verity digest of", path);
    }
    const id = argument.readUInt16LE(0);
    const algorithm = ALGORITHMS.find((name) => VERITY_ALGORITHMS[name].id === id);
    const digest = argument.subarray(DIGEST_AT, DIGEST_AT + argument.readUInt16LE(2));
    return algorithm && { algorithm, digestHex: toHex(digest) };
  } finally {
    closeSync(fd);
  }
}

const ALGORITHMS = Object.keys(VERITY_ALGORITHMS) as VerityAlgorithm[];

function openOrExplain(path: string): number {
  try {
    return openSync(path, "r");
  } catch (error) {
    throw inputError(error, "fs-verity digest of", path);
  }
}

// --- fsverity(1) --------------------------------------------------------------------------------------------------

async function measureThroughCommand(path: string): Promise<VerityMeasurement | undefined> {
  closeSync(openOrExplain(path));
  try {
    const { stdout } = await runCommand(["fsverity", "measure", path]);
    return parseMeasurement(Buffer.from(stdout).toString("utf8"));
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    if (error.code === "command.not-found") throw noReader(error);
    return undefined;
  }
}

/** `sha512:HEX PATH` */
export function parseMeasurement(text: string): VerityMeasurement | undefined {
  const [, algorithm, digestHex] = /^(sha256|sha512):([0-9a-f]+) /.exec(text) ?? [];
  return algorithm === undefined || digestHex === undefined
    ? undefined
    : { algorithm: algorithm as VerityAlgorithm, digestHex };
}
