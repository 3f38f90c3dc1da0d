/** The program of the hashing workers: fs-verity leaves and digests, and running hashes of blobs. */
import { createHash, type Hash } from "node:crypto";
import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from "node:fs";
import {
  computeFsverityDigest,
  hashBlocks,
  leavesSize,
  VERITY_ALGORITHMS,
  type VerityAlgorithm,
} from "../../formats/fsverity/index.ts";
import { serve } from "../../lib/hash/serve.ts";

/** Contents, or parts of them that start at a block, in a shared buffer. */
export interface PiecesJob {
  readonly kind: "pieces";
  readonly bytes: Uint8Array;
  readonly pieces: readonly Piece[];
  readonly algorithms: readonly VerityAlgorithm[];
}

export interface Piece {
  readonly from: number;
  readonly to: number;
  /** A whole content is answered with its digest, a part with its leaves. */
  readonly whole: boolean;
}

/** More bytes of a blob; all jobs of one `stream` go to one worker. With `last` the answer is the hash in hex. */
export interface UpdateJob {
  readonly kind: "update";
  readonly stream: number;
  readonly algorithm: "sha256" | "sha512";
  readonly bytes: Uint8Array;
  readonly last: boolean;
}

/** A file by its path, as functions of node:fs take it, and the size that it was listed with. */
export interface ListedFile {
  readonly path: string | Uint8Array;
  readonly size: number;
}

/** Whole small files, answered with their digests. */
export interface FilesJob {
  readonly kind: "files";
  readonly files: readonly ListedFile[];
  readonly algorithms: readonly VerityAlgorithm[];
}

/** A part of a large file, answered with its leaves. */
export interface RangeJob extends ListedFile {
  readonly kind: "range";
  readonly from: number;
  readonly to: number;
  readonly algorithms: readonly VerityAlgorithm[];
}

export type VerityJob = PiecesJob | UpdateJob | FilesJob | RangeJob;

/** Hashes for each piece or file, in order, and within it for each algorithm, in order. */
export type Hashes = Uint8Array;

export interface RangeHashes {
  readonly hashes: Hashes;
  /** Changes when the file is written to or replaced between two ranges. */
  readonly identity: string;
}

const streams = new Map<number, Hash>();
let scratch = new Uint8Array();

serve((job: VerityJob): Hashes | RangeHashes | string | undefined => {
  switch (job.kind) {
    case "pieces":
      return hashAll(
        job.pieces.map(({ from, to, whole }) => [job.bytes.subarray(from, to), whole] as const),
        job.algorithms,
      );
    case "update":
      return update(job);
    case "files":
      return hashFiles(job);
    case "range": {
      const { bytes, stat } = readStable(job.path, job.size, job.from, job.to);
      const identity = `${stat.dev}:${stat.ino}:${stat.mtimeMs}:${stat.ctimeMs}`;
      return { hashes: hashAll([[bytes, false]], job.algorithms), identity };
    }
    default:
      return job satisfies never;
  }
});

function hashAll(
  contents: readonly (readonly [bytes: Uint8Array, whole: boolean])[],
  algorithms: readonly VerityAlgorithm[],
): Hashes {
  let size = 0;
  for (const [bytes, whole] of contents) size += hashesSize(bytes.length, whole, algorithms);
  const hashes = new Uint8Array(size);
  let at = 0;
  for (const [bytes, whole] of contents) {
    for (const algorithm of algorithms) {
      if (whole) hashes.set(computeFsverityDigest(bytes, algorithm), at);
      else hashBlocks(bytes, algorithm, hashes, at);
      at += whole ? VERITY_ALGORITHMS[algorithm].digestSize : leavesSize(bytes.length, algorithm);
    }
  }
  return hashes;
}

/** Bytes of hashes for one piece or file. */
function hashesSize(size: number, whole: boolean, algorithms: readonly VerityAlgorithm[]): number {
  return algorithms.reduce(
    (sum, algorithm) => sum + (whole ? VERITY_ALGORITHMS[algorithm].digestSize : leavesSize(size, algorithm)),
    0,
  );
}

function update({ stream, algorithm, bytes, last }: UpdateJob): string | undefined {
  let hash = streams.get(stream);
  if (hash === undefined) streams.set(stream, (hash = createHash(algorithm)));
  hash.update(bytes);
  if (!last) return undefined;
  streams.delete(stream);
  return hash.digest("hex");
}

function hashFiles({ files, algorithms }: FilesJob): Hashes {
  const perFile = hashesSize(0, true, algorithms);
  const hashes = new Uint8Array(files.length * perFile);
  files.forEach(({ path, size }, index) => {
    const { bytes } = readStable(path, size, 0, size);
    hashes.set(hashAll([[bytes, true]], algorithms), index * perFile);
  });
  return hashes;
}

/**
 * Reads a part of a file that must be what it was when it was listed, and stay so meanwhile.
 *
 * @returns a view into a buffer that the next call overwrites
 */
function readStable(
  path: string | Uint8Array,
  size: number,
  from: number,
  to: number,
): { bytes: Uint8Array; stat: Stats } {
  const fd = openSync(asFsPath(path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const before = statListed(fd, path, size);
    if (scratch.length < to - from) scratch = new Uint8Array(to - from);
    const bytes = scratch.subarray(0, to - from);
    for (let filled = 0; filled < bytes.length; ) {
      const read = readSync(fd, bytes, filled, bytes.length - filled, from + filled);
      if (read === 0) throw changed(path, `${size} bytes`, `${from + filled}`);
      filled += read;
    }
    const after = statListed(fd, path, size);
    if (after.mtimeMs !== before.mtimeMs || after.ctimeMs !== before.ctimeMs) {
      throw changed(path, "no change while it was read", "one");
    }
    return { bytes, stat: before };
  } finally {
    closeSync(fd);
  }
}

function statListed(fd: number, path: string | Uint8Array, size: number): Stats {
  const stat = fstatSync(fd);
  if (!stat.isFile() || stat.size !== size) throw changed(path, `a file of ${size} bytes`, `${stat.size} bytes`);
  return stat;
}

function changed(path: string | Uint8Array, expected: string, found: string): Error {
  return Object.assign(
    new Error(`${String(asFsPath(path))} changed while it was read: found ${found}, expected ${expected}`),
    {
      code: "tree.file-changed",
    },
  );
}

/** A message from the main thread makes a plain array of a buffer. */
function asFsPath(path: string | Uint8Array): string | Buffer {
  return typeof path === "string" ? path : Buffer.from(path.buffer, path.byteOffset, path.byteLength);
}
