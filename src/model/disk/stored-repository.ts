import {
  type Ext4Inode,
  type Ext4Volume,
  findInode,
  readDirectory,
  readFile,
  readInode,
  readLinkTarget,
} from "../../formats/ext4/index.ts";
import { VERITY_ALGORITHMS, type VerityAlgorithm } from "../../formats/fsverity/index.ts";
import { type ByteString, byteString, showByteString } from "../../lib/bytes/byte-string.ts";
import { FormatError, SealwrightError, VerificationError } from "../../lib/errors.ts";
import type { OsProblem } from "../os/index.ts";
import { IMAGES, META_FILE, OBJECTS, REFS, STREAMS } from "../repository/index.ts";
import { ROOT } from "./layout.ts";

/** An object as the file system has it. */
export interface StoredObject {
  /** fs-verity digest, as its name says. */
  readonly hex: string;
  readonly algorithm: VerityAlgorithm;
  readonly inode: Pick<Ext4Inode, "ino" | "size" | "isVerity">;
}

/** A composefs repository on a disk. */
export interface StoredRepository {
  readonly meta: Ext4Inode | undefined;
  /** By digest in hex. */
  readonly objects: ReadonlyMap<string, StoredObject>;
  /** Digests that links lead to, by name of the link. */
  readonly images: ReadonlyMap<string, string>;
  readonly streams: ReadonlyMap<string, string>;
  /** Names below `refs` of images and streams. */
  readonly refs: readonly string[];
  /**
   * What does not belong: `disk.object.stray`, `disk.link.stray`; and what cannot be read, with the code of the refusal.
   */
  readonly problems: readonly OsProblem[];
}

const HEX_LENGTHS = new Map<number, VerityAlgorithm>(
  Object.entries(VERITY_ALGORITHMS).map(([name, { digestSize }]) => [2 * digestSize, name as VerityAlgorithm]),
);

/** Safety limit, not a format rule: a large OS has some 100 000. */
const OBJECTS_MAX = 4_000_000;

/** Safety limit, not a format rule: tags are one level deep. */
const REF_DEPTH_MAX = 16;

/**
 * Lists the repository. Only names, links and inodes are read.
 *
 * @throws {VerificationError} `disk.repository.missing`
 * @throws {FormatError} `ext4.*`, `disk.repository.too-many-objects`
 */
export function readRepository(volume: Ext4Volume): StoredRepository {
  const root = findInode(volume, byteString(ROOT.repository));
  if (root?.kind !== "directory") {
    throw new VerificationError("disk.repository.missing", `/${ROOT.repository}: found no composefs repository`);
  }
  const problems: OsProblem[] = [];
  const reader = new RepositoryReader(volume, problems);
  const refs: string[] = [];
  return {
    meta: findInode(volume, byteString(`${ROOT.repository}/${META_FILE}`)),
    objects: reader.objects(),
    images: reader.links(IMAGES, refs),
    streams: reader.links(STREAMS, refs),
    refs,
    problems,
  };
}

/** Which of the two a kernel finds depends on its index. */
const TWICE = "found the name twice, expected it once";

class RepositoryReader {
  readonly #volume: Ext4Volume;
  readonly #problems: OsProblem[];

  constructor(volume: Ext4Volume, problems: OsProblem[]) {
    this.#volume = volume;
    this.#problems = problems;
  }

  objects(): Map<string, StoredObject> {
    const objects = new Map<string, StoredObject>();
    for (const [prefix, directory] of this.#children(`${ROOT.repository}/${OBJECTS}`)) {
      const below = `${ROOT.repository}/${OBJECTS}/${prefix}`;
      if (directory.kind !== "directory" || !/^[0-9a-f]{2}$/.test(prefix)) {
        this.#report("disk.object.stray", below, `found a ${directory.kind}, expected directories of two hex digits`);
        continue;
      }
      for (const [rest, inode] of this.#children(below, directory)) {
        const hex = prefix + rest;
        const algorithm = HEX_LENGTHS.get(hex.length);
        if (algorithm === undefined || !/^[0-9a-f]+$/.test(hex) || inode.kind !== "file") {
          const expected = "a file with the name of a digest; garbage collection stops here";
          this.#report("disk.object.stray", `${below}/${rest}`, `found a ${inode.kind}, expected ${expected}`);
          continue;
        }
        if (objects.has(hex)) this.#report("disk.object.stray", `${below}/${rest}`, TWICE);
        const { ino, isVerity, size } = inode;
        objects.set(hex, { hex, algorithm, inode: { ino, size, isVerity } });
        if (objects.size > OBJECTS_MAX) {
          const expected = `at most ${OBJECTS_MAX}`;
          throw new FormatError("disk.repository.too-many-objects", { what: "objects", expected, found: "more" });
        }
      }
    }
    return objects;
  }

  /** Links to objects in a directory; names below its `refs` are only counted. */
  links(directory: typeof IMAGES | typeof STREAMS, refs: string[]): Map<string, string> {
    const path = `${ROOT.repository}/${directory}`;
    const links = new Map<string, string>();
    for (const [name, inode] of this.#children(path)) {
      if (name === REFS) {
        this.#collectRefs(`${path}/${name}`, inode, refs, 0);
        continue;
      }
      const target = inode.kind === "symlink" ? readLinkTarget(this.#volume, inode) : "";
      const [, prefix, rest] = /^\.\.\/objects\/([0-9a-f]{2})\/([0-9a-f]+)$/.exec(target) ?? [];
      if (prefix === undefined || rest === undefined) {
        const found = inode.kind === "symlink" ? `a link to "${showByteString(target as ByteString)}"` : inode.kind;
        this.#report("disk.link.stray", `${path}/${name}`, `found ${found}, expected a link to an object`);
        continue;
      }
      if (links.has(name)) this.#report("disk.link.stray", `${path}/${name}`, TWICE);
      links.set(name, prefix + rest);
    }
    return links;
  }

  #collectRefs(path: string, directory: Ext4Inode, refs: string[], depth: number): void {
    for (const [name, inode] of this.#children(path, directory)) {
      const below = `${path}/${name}`;
      if (inode.kind === "directory" && depth < REF_DEPTH_MAX) this.#collectRefs(below, inode, refs, depth + 1);
      else if (inode.kind === "symlink") refs.push(below.slice(ROOT.repository.length + 1));
      else this.#report("disk.link.stray", below, `found a ${inode.kind}, expected a link`);
    }
  }

  /** Names and inodes in a directory, in order; one that cannot be read is reported and left out. */
  *#children(
    path: string,
    directory: Ext4Inode | undefined = findInode(this.#volume, byteString(path)),
  ): Generator<[name: string, inode: Ext4Inode]> {
    if (directory?.kind !== "directory") return;
    const entries = readDirectory(this.#volume, directory).sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const { ino, name } of entries) {
      const shown = showByteString(name);
      let inode: Ext4Inode;
      try {
        inode = readInode(this.#volume, ino);
      } catch (error) {
        if (!(error instanceof SealwrightError)) throw error;
        this.#report(error.code, `${path}/${shown}`, error.message);
        continue;
      }
      yield [shown, inode];
    }
  }

  #report(code: string, path: string, message: string): void {
    this.#problems.push({ code, message: `/${path}: ${message}`, path: `/${path}` });
  }
}

/**
 * Reads a whole file of the root file system.
 *
 * @throws {FormatError} `disk.file.too-large`, `ext4.*`
 */
export function readRootFile(
  volume: Ext4Volume,
  inode: Pick<Ext4Inode, "ino" | "size">,
  what: string,
  maxSize: number,
): Uint8Array {
  if (inode.size > maxSize || inode.size > volume.blockCount * volume.blockSize) {
    throw new FormatError("disk.file.too-large", {
      what,
      expected: `at most ${maxSize} bytes`,
      found: `${inode.size}`,
    });
  }
  const bytes = Buffer.allocUnsafeSlow(inode.size);
  let at = 0;
  for (const chunk of readFile(volume, readInode(volume, inode.ino))) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
