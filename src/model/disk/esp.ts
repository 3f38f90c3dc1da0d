import { type FatEntry, type FatVolume, readFatDirectory, readFatFile } from "../../formats/fat/index.ts";
import { FormatError, quote } from "../../lib/errors.ts";

/** A file on the ESP. */
export interface EspFile {
  /** Without leading slash, as the names are stored. */
  readonly path: string;
  readonly entry: FatEntry;
}

/** Safety limits, not format rules: what is installed is five levels deep, and some dozen files. */
const DEPTH_MAX = 16;
const FILES_MAX = 10_000;
/** Largest file that is read whole: UKIs have some 100 MiB. */
const FILE_SIZE_MAX = 1 << 30;

/**
 * Every file on the ESP, by path.
 *
 * @throws {FormatError} `fat.*`, `disk.esp.too-deep`, `disk.esp.too-many-files`
 */
export function listEspFiles(volume: FatVolume): EspFile[] {
  const files: EspFile[] = [];
  let seen = 0;
  const visit = (directory: FatEntry | undefined, path: string, depth: number): void => {
    if (depth > DEPTH_MAX) throw limit("disk.esp.too-deep", quote(path), `at most ${DEPTH_MAX} directories`);
    for (const entry of readFatDirectory(volume, directory)) {
      if (++seen > FILES_MAX) throw limit("disk.esp.too-many-files", "ESP", `at most ${FILES_MAX} files`);
      const child = path === "" ? entry.name : `${path}/${entry.name}`;
      if (entry.kind === "directory") visit(entry, child, depth + 1);
      else files.push({ path: child, entry });
    }
  };
  visit(undefined, "", 0);
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

function limit(code: string, what: string, expected: string): FormatError {
  return new FormatError(code, { what, expected, found: "more" });
}

/** Finds a file as firmware does: case does not matter, and backslashes are slashes. */
export function findEspFile(files: readonly EspFile[], path: string): EspFile | undefined {
  const wanted = fold(path.replaceAll("\\", "/").replace(/^\/+/, "").replaceAll(/\/+/g, "/"));
  return files.find((file) => fold(file.path) === wanted);
}

export const fold = (path: string): string => path.toLowerCase();

/** Whether a file lies in a directory, at any depth. */
export const isBelow = ({ path }: EspFile, directory: string): boolean => fold(path).startsWith(`${fold(directory)}/`);

/**
 * Reads a whole file.
 *
 * @throws {FormatError} `fat.*`, `disk.esp.file-too-large`
 */
export function readEspFile(volume: FatVolume, { entry, path }: EspFile, maxSize: number = FILE_SIZE_MAX): Uint8Array {
  if (entry.size > maxSize) {
    throw new FormatError("disk.esp.file-too-large", {
      what: path,
      expected: `at most ${maxSize} bytes`,
      found: `${entry.size}`,
    });
  }
  const bytes = Buffer.allocUnsafeSlow(entry.size);
  let at = 0;
  for (const chunk of readFatFile(volume, entry)) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/** The first bytes of a file, to know what it is. */
export function readEspHead(volume: FatVolume, { entry }: EspFile, size: number): Uint8Array {
  for (const chunk of readFatFile(volume, { ...entry, size: Math.min(entry.size, size) })) return chunk;
  return new Uint8Array(0);
}

/** Bytes in free clusters. */
export function countFreeBytes(volume: FatVolume): number {
  let free = 0;
  for (let cluster = 2; cluster < volume.clusterCount + 2; cluster++) if (volume.nextCluster(cluster) === 0) free++;
  return free * volume.clusterSize;
}
