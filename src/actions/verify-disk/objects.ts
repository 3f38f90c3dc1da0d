import { parseSplitStream } from "../../formats/splitstream/index.ts";
import { showSize, toHex } from "../../lib/bytes/numbers.ts";
import { FormatError, SealwrightError, VerificationError } from "../../lib/errors.ts";
import { inFile } from "../../lib/in-file.ts";
import { objectPath } from "../../model/composefs/overlay.ts";
import type { FileCheck, RootVolume, Unreadable } from "../../model/disk/check-merkle.ts";
import { type CheckOptions, checkObjects } from "../../model/disk/check-objects.ts";
import type { Disk } from "../../model/disk/open-disk.ts";
import { readRootFile, type StoredObject } from "../../model/disk/stored-repository.ts";
import { countOf } from "../../model/verdict/describe.ts";
import { describeFault } from "./faults.ts";
import type { ObjectUse, ProvedImages } from "./images.ts";
import type { ProvedRepository } from "./repository.ts";
import type { DiskVerdictBuilder } from "./verdict.ts";

export interface ObjectStore {
  readonly disk: Disk;
  readonly root: RootVolume & { readonly size: number };
  readonly repository: ProvedRepository;
  readonly images: ProvedImages;
}

/** Faults that are told one by one; more of them say nothing new. */
const SHOWN_MAX = 20;

/** Reads every object there is, and asks for every one that there must be. */
export async function verifyObjects(
  verdict: DiskVerdictBuilder,
  store: ObjectStore,
  options: CheckOptions,
): Promise<void> {
  const { disk, images, repository, root } = store;
  const streams = readStreamRefs(verdict, store);
  const faults = findMissing(store, streams);
  const all = [...repository.objects.values()];
  requireBounded(all, root.size);
  const place = { file: disk.file, offset: root.offset, size: root.size };
  const onCheck = (index: number, check: FileCheck | Unreadable): void => {
    const object = all[index] as StoredObject;
    // Images have been judged by a link of their own.
    if (images.digests.has(object.hex)) return;
    const fault = judge(object, check, images.uses.get(object.hex));
    if (fault !== undefined) faults.push(fault);
  };
  await checkObjects(place, root, all, onCheck, options);
  report(verdict, faults);
  if (faults.length === 0) verdict.holds("objects", describe(all, images));
  warnOfUnreferenced(verdict, store, streams);
}

interface Fault {
  /** In the tree, or else in the repository. */
  readonly path: string;
  readonly error: SealwrightError;
}

/** Objects that split streams lead to, each with the stream that did so first. */
type StreamRefs = ReadonlyMap<string, string>;

/** Safety limit, not a format rule: the headers of a layer of 100 000 files are some 5 MiB, compressed. */
const STREAM_SIZE_MAX = 1 << 28;

/** What `bootc upgrade` would look for in the repository: nothing in it is booted. */
function readStreamRefs(verdict: DiskVerdictBuilder, { repository, root }: ObjectStore): StreamRefs {
  const refs = new Map<string, string>();
  const add = (hex: string, name: string): void => {
    // One string for an object that is there: a hundred thousand others would be 15 MB.
    if (!refs.has(hex)) refs.set(repository.objects.get(hex)?.hex ?? hex, name);
  };
  for (const [name, hex] of repository.streams) {
    const path = `streams/${name}`;
    add(hex, path);
    const stored = repository.objects.get(hex);
    if (stored === undefined) continue;
    try {
      const bytes = inFile(path, () => readRootFile(root.volume, stored.inode, path, STREAM_SIZE_MAX));
      const stream = inFile(path, () => parseSplitStream(bytes));
      for (const digest of [...stream.objectRefs, ...stream.streamRefs]) add(toHex(digest), path);
    } catch (error) {
      if (!(error instanceof SealwrightError)) throw error;
      verdict.broken("objects", error);
    }
  }
  return refs;
}

function findMissing({ images, repository }: ObjectStore, streams: StreamRefs): Fault[] {
  const missing = [
    ...[...images.uses].map(([hex, { path }]) => [hex, path] as const),
    ...[...streams].filter(([hex]) => !images.uses.has(hex)),
  ].filter(([hex]) => !repository.objects.has(hex));
  return missing.map(([hex, path]) => {
    const message = `${path}: object ${objectPath(hex)}: found nothing, expected its contents`;
    return { path, error: new VerificationError("disk.object.missing", message, { data: { object: hex, path } }) };
  });
}

/** Many inodes may claim the same blocks, and holes cost nothing: the work must not. */
function requireBounded(objects: readonly StoredObject[], rootSize: number): void {
  const total = objects.reduce((sum, { inode }) => sum + inode.size, 0);
  const most = 16 * rootSize;
  if (total <= most) return;
  throw new FormatError("disk.objects.too-large", {
    what: "sizes of all objects",
    expected: `at most ${most} bytes, 16 times the file system`,
    found: String(total),
  });
}

/** What is wrong with an object; the contents come before what is stored beside them. */
function judge(object: StoredObject, check: FileCheck | Unreadable, use: ObjectUse | undefined): Fault | undefined {
  const { hex, inode } = object;
  const place = `object ${objectPath(hex)}`;
  const path = use?.path ?? place;
  const more = use === undefined || use.count === 1 ? "" : ` and ${use.count - 1} more`;
  const fault = (code: string, message: string, data: Record<string, unknown> = {}): Fault => ({
    path,
    error: new VerificationError(code, `${use === undefined ? "" : `${path}${more}: `}${place}: ${message}`, {
      data: { object: hex, ...(use === undefined ? {} : { path }), ...data },
    }),
  });
  if ("code" in check) return fault("disk.object.unreadable", check.message, { reason: check.code });
  if (use !== undefined && use.size !== BigInt(inode.size)) {
    return fault("disk.object.size-differs", `found ${inode.size} bytes, expected ${use.size}`, { found: inode.size });
  }
  const { digest, fault: stored, faultAt, firstDifference } = check;
  if (digest !== hex) {
    const offset = firstDifference ?? (inode.size <= 4096 ? 0 : undefined);
    const where =
      offset === undefined
        ? "the contents of another object"
        : `contents with another digest; the first wrong block starts at byte ${offset}`;
    return fault("disk.object.digest-mismatch", `found ${where}`, {
      found: digest,
      ...(offset === undefined ? {} : { offset }),
    });
  }
  if (stored === undefined) return undefined;
  const covers = firstDifference === undefined ? "" : `, in the leaf of the block at byte ${firstDifference}`;
  return fault(`disk.object.${stored}`, `${describeFault(stored, faultAt)}${covers}`, {
    ...(faultAt === undefined ? {} : { offset: faultAt }),
    ...(firstDifference === undefined ? {} : { block: firstDifference }),
  });
}

function report(verdict: DiskVerdictBuilder, faults: Fault[]): void {
  faults.sort((a, b) => (a.path < b.path ? -1 : 1));
  for (const { error } of faults.slice(0, SHOWN_MAX)) verdict.broken("objects", error);
  if (faults.length > SHOWN_MAX) {
    const count = faults.length - SHOWN_MAX;
    verdict.broken("objects", new VerificationError("disk.object.more", `${count} more objects are wrong`));
  }
}

function describe(objects: readonly StoredObject[], { uses }: ProvedImages): string {
  const size = objects.reduce((sum, { inode }) => sum + inode.size, 0);
  const names = [...uses.values()].reduce((sum, { count }) => sum + count, 0);
  return `${countOf(objects.length, "object")}, ${showSize(size)}, digests and Merkle trees recomputed; they back ${countOf(names, "file")}`;
}

/** Garbage collection would remove them; nothing boots from them. */
function warnOfUnreferenced(
  verdict: DiskVerdictBuilder,
  { images, repository }: ObjectStore,
  streams: StreamRefs,
): void {
  const linked = new Set(repository.images.values());
  const unreferenced = [...repository.objects.values()].filter(
    ({ hex }) => !images.uses.has(hex) && !streams.has(hex) && !linked.has(hex),
  );
  const [first] = unreferenced;
  if (first === undefined) return;
  const size = unreferenced.reduce((sum, { inode }) => sum + inode.size, 0);
  const message = `${countOf(unreferenced.length, "object")} (${showSize(size)}) that nothing refers to, ${objectPath(first.hex)} first`;
  verdict.warn("objects", { code: "disk.object.unreferenced", message });
}
